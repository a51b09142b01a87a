"""XTTS-v2 by coqui-tts: clones, several texts at a time."""
