"""The commands, a file a group: parse, call, print; bodies of about ten lines."""
