"""Bring in what others recorded and wrote: the way from a recording to a transcript."""
