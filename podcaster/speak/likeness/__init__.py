"""The built-in clone: parameters of a voice, measured by WORLD and imposed on eSpeak NG."""
