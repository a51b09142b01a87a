"""How the adapter of the built-in writer is made."""
