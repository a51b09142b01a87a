"""`python -m podcaster` is `podcaster`."""

from podcaster.cli import main

main()
