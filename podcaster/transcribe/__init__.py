"""The stage `transcribe`: what is said in recordings, and by which voice."""
