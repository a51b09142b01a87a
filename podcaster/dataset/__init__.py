"""What was said becomes what a model learns from: dialogues, conversations by chapter."""
