"""`podcaster` turns a podcast that exists into one that does not."""

__version__ = "0.1.0"
