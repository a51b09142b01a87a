"""Recordings of a voice: decoded, measured, judged."""
