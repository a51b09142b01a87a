"""`podcaster` turns a podcast that exists into one that does not."""

import os

__version__ = "0.1.0"

# read by OpenMP when the first library that uses it is loaded: threads that wait by spinning make
# work on a busy machine a hundred times slower (llama.cpp on two cores, one of them taken)
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
