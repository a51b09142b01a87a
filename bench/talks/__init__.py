"""What the benchmarks of conversations share: the twenty episodes, real shows, and measures."""
