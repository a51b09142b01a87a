"""The stages of an episode as the pipeline sees them, and the whole of one from start to finish."""
