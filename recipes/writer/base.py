"""Write the packaged SmolLM2, without an adapter, as transformers saves a model."""

import argparse
from pathlib import Path

from podcaster.setup.packaged import SMOLLM2, find_packaged
from podcaster.train.packaged_base import unpack_base


def main() -> None:
    """Write it; prints the folder."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    told = parser.parse_args()
    told.out.parent.mkdir(parents=True, exist_ok=True)
    folder = unpack_base(find_packaged(SMOLLM2.name).paths[0], None, told.out.parent)
    folder.replace(told.out)
    print(told.out)


if __name__ == "__main__":
    main()
