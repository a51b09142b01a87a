"""What `voice.toml` may say of the engine that clones a voice."""

CLONE = "clone"  # the best cloning engine that is on this machine
LIKENESS = "likeness"  # the built-in one, in Kokoro's languages
LIKENESS_SKETCH = "likeness_sketch"  # the same on eSpeak NG, in all others
LIKENESSES = frozenset({LIKENESS, LIKENESS_SKETCH})
