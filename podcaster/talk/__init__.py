"""Let a show's model talk: ask it, measure how it talks beside the show, compare models."""
