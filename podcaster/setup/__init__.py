"""Setup: which models there are, what this machine can run, and getting the chosen ones."""
