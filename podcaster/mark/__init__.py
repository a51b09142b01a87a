"""Inaudible marks in the sound itself, which outlive a tag that is taken off."""
