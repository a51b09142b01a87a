"""The recipe for the built-in dialogue model: one file, one stage; see README.md beside this."""
