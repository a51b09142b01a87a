"""Kokoro, a small neural model that speaks: its symbols, styles, weights; the voicer, the clock."""
