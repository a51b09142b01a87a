"""Stage train: a base model learns from a show's dataset how its people talk (LoRA)."""
