"""Who is who, across a show's recordings, and what a person said of it."""
