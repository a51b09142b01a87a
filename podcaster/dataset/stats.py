"""A dataset's numbers for people and scripts: sums, means, speakers, dates, costs."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from podcaster.dataset.costs import (
    describe_costs,
    estimate_costs,
    list_gpus,
    match_gpu,
    read_prices,
)
from podcaster.dataset.report import (
    DatasetReport,
    RecordingCount,
    average,
    describe_report,
    rank_speakers,
)

MOST_SPEAKERS = 50  # named in the result; the files have them all


def gather_stats(
    report: DatasetReport, recordings: Iterable[RecordingCount], home: Path
) -> dict[str, Any]:
    """All numbers of a dataset, and what an epoch of its training part costs.

    Raises ConfigError for a price table that is none.
    """
    speakers = rank_speakers(recordings)
    prices = read_prices(home)
    here = list_gpus()
    costs = estimate_costs(report.train_tokens, prices, here)
    return {
        **describe_report(report),
        "means": average(report),
        "dates": {"first": report.first_published, "last": report.last_published},
        "speakers": speakers[:MOST_SPEAKERS],
        "speakers_count": len(speakers),
        "gpus_here": [{"name": name, "priced_as": match_gpu(name, prices)} for name in here],
        "prices": {
            "as_of": prices.as_of,
            "currency": prices.currency,
            "utilisation": prices.utilisation,
        },
        "epoch": describe_costs(costs),
    }


def cost_rows(stats: dict[str, Any]) -> list[tuple[str, ...]]:
    """For each model, the GPUs at hand, or else the one of the table that costs least."""
    rows: list[tuple[str, ...]] = []
    for model in dict.fromkeys(cost["model"] for cost in stats["epoch"]):
        fitting = [c for c in stats["epoch"] if c["model"] == model and c["fits"]]
        cheapest = sorted(fitting, key=lambda c: (c["lora_price"], c["lora_hours"]))[:1]
        chosen = [c for c in fitting if c["here"]] or cheapest
        rows += [
            (
                model,
                c["gpu"] + (" (here)" if c["here"] else ""),
                format_hours(c["lora_hours"]),
                f"{c['lora_price']:.2f}",
                format_hours(c["full_hours"]),
                f"{c['full_price']:.2f}",
            )
            for c in chosen
        ]
        if not chosen:
            rows.append((model, "more than one GPU", "", "", "", ""))
    return rows


def format_hours(hours: float) -> str:
    """A duration for people: `40 s`, `12 min`, `3.5 h`."""
    seconds = hours * 3600
    if seconds < 60:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if hours < 1 else f"{hours:.1f} h"
