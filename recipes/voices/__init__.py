"""The recipe for the built-in voices: blends of Kokoro's stock styles, measured."""
