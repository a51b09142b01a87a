"""What `voice.toml` may say of the engine that clones a voice."""

CLONE = "clone"  # the best cloning engine that is on this machine
LIKENESS = "likeness"  # the built-in one, which is on every machine
