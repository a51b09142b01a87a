"""The quality gate: what is checked of a clip before it is believed."""
