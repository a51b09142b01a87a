"""Stage `write`: guest, topic and notes become a script."""
