"""Where work on many recordings is done: in this process, over its cores, or over a Ray cluster."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from podcaster.config import ClusterOptions
from podcaster.mapping import Mapper, map_locally
from podcaster.progress import Progress


@dataclass(frozen=True)
class Workers:
    """A mapper, and how many work at once, as far as is known before."""

    mapper: Mapper
    count: int


@contextmanager
def open_workers(
    options: ClusterOptions,
    count: int,
    progress: Progress,
    environment: Mapping[str, str] = os.environ,
) -> Iterator[Workers]:
    """Lend a mapper over recordings; `count` workers, 0: one here, or all that a cluster has.

    Without an address there is no Ray: one recording after the other has all cores, or `count`
    processes share them. Raises what `cluster.connect` raises.
    """
    address = options.address or environment.get("RAY_ADDRESS", "")
    if not address:
        here = max(1, count)
        yield Workers(partial(map_locally, workers=here, items_worth_a_process=1), here)
        return
    from podcaster import cluster  # it looks for Ray, which not everybody has

    with cluster.connect(address):
        share = (options.gpus_per_worker or None, options.cpus_per_worker)
        places = cluster.measure_room(*share).places
        mapper = partial(
            cluster.map_on_cluster,
            address=address,
            workers=count,
            gpus_per_worker=share[0],
            cpus_per_worker=share[1],
            files=_files_of,
            note=progress.note,
        )
        yield Workers(mapper, min(places, count) if count else places)


def _files_of(unit: Any) -> list[Path]:
    """What a unit reads; a mapper is for items of any kind, ours maps units."""
    return [Path(file) for file in unit.files]
