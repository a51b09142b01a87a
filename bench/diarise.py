"""How well and how fast voices are told apart: one JSON line.

Run as `python bench/diarise.py [--hour]`; needs the extra asr, and `shared/` beside the repository
for all but the telephone sample. Nothing is told to the diariser but the sound. DER is pyannote's
diarization error rate with no collar and overlapped speech included; `assigned` is the share of
the reference's speech that went to the right speaker. With `--hour`, the recordings are laid end
to end for an hour, and time and the process's peak memory are reported.
"""

import argparse
import importlib.util
import json
import resource
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch

from podcaster import audio
from podcaster.model import SpeakerSpan
from podcaster.transcribe.builtin_diariser import BuiltinDiariser

RATE_HZ = 16_000
SHARED = Path(__file__).parents[1].parent / "shared" / "data" / "audio"
# speech as Silero VAD hears it, whose it is by the voices' reference recordings: A and B in turn
DIALOGUE = [(1.05, 1.93), (2.65, 3.42), (4.0, 7.39), (8.03, 8.96), (9.5, 14.69), (15.26, 17.62)]

Truth = list[tuple[float, float, str]]


def main() -> None:
    """Diarise each recording and print what came out."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--hour", action="store_true", help="an hour of speech, too")
    options = parser.parse_args()
    torch.set_num_threads(2)
    started = time.perf_counter()
    diariser = BuiltinDiariser()
    opened_s = time.perf_counter() - started
    recordings = dict(read_recordings())
    result: dict[str, Any] = {"engine": diariser.id, "open_s": round(opened_s, 2), "files": {}}
    for name, (samples, truth) in recordings.items():
        result["files"][name] = measure(diariser, samples, truth)
    if options.hour:
        result["hour"] = measure_hour(diariser, [samples for samples, _ in recordings.values()])
    print(json.dumps(result))


def read_recordings() -> "list[tuple[str, tuple[np.ndarray, Truth]]]":
    """Recordings with who speaks when."""
    spec = importlib.util.find_spec("pyannote.audio")
    assert spec is not None
    assert spec.submodule_search_locations
    folder = Path(spec.submodule_search_locations[0]) / "sample"
    rows = [line.split() for line in (folder / "sample.rttm").read_text().splitlines()]
    told = [(float(row[3]), float(row[3]) + float(row[4]), row[7]) for row in rows]
    found = [("telephone", (read(folder / "sample.wav"), told))]
    if SHARED.is_dir():
        segments = json.loads((SHARED / "tea-brew.json").read_text())["segments"]
        told = [(each["start"], each["end"], str(each["speaker"])) for each in segments]
        found.append(("tea-brew", (read(SHARED / "tea-brew.mp3"), told)))
        told = [(start, end, "AB"[at % 2]) for at, (start, end) in enumerate(DIALOGUE)]
        found.append(("dialogue", (read(SHARED / "katie-steve-dialogue.wav"), told)))
    return found


def read(path: Path) -> np.ndarray:
    """A whole file, mono at 16 kHz."""
    return np.concatenate(list(audio.decode(path, RATE_HZ, 1)))


def measure(diariser: BuiltinDiariser, samples: np.ndarray, truth: Truth) -> dict[str, Any]:
    """Errors with nothing told, and with the number of speakers told."""
    count = len({who for *_, who in truth})
    started = time.perf_counter()
    spans = diariser.diarise(samples)
    seconds = time.perf_counter() - started
    parts = compare(truth, spans)
    told = compare(truth, diariser.diarise(samples, fewest=count, most=count))
    return {
        "der": round(parts["diarization error rate"], 4),
        "missed": round(parts["missed detection"] / parts["total"], 4),
        "false_alarm": round(parts["false alarm"] / parts["total"], 4),
        "confused": round(parts["confusion"] / parts["total"], 4),
        "assigned": round(parts["correct"] / parts["total"], 4),
        "der_told": round(told["diarization error rate"], 4),
        "der_collar": round(compare(truth, spans, collar_s=0.5)["diarization error rate"], 4),
        "speakers": len({span.speaker for span in spans}),
        "speakers_expected": count,
        "real_time_factor": round(seconds * RATE_HZ / len(samples), 4),
    }


def compare(truth: Truth, spans: tuple[SpeakerSpan, ...], collar_s: float = 0.0) -> Any:
    """The parts of the error; `collar_s` is the width left out around each boundary, both sides."""
    from pyannote.core import Annotation, Segment
    from pyannote.metrics.diarization import DiarizationErrorRate

    told, found = Annotation(), Annotation()
    for at, (start_s, end_s, who) in enumerate(truth):
        told[Segment(start_s, end_s), at] = who
    for at, span in enumerate(spans):
        found[Segment(span.start_s, span.end_s), at] = span.speaker
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        metric = DiarizationErrorRate(collar=collar_s, skip_overlap=False)
        return metric(told, found, detailed=True)


def measure_hour(diariser: BuiltinDiariser, recordings: list[np.ndarray]) -> dict[str, Any]:
    """An hour of the recordings end to end: time, and the memory that it takes on top."""
    whole = np.concatenate(recordings)
    samples = np.tile(whole, 3600 * RATE_HZ // len(whole) + 1)[: 3600 * RATE_HZ]
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    started = time.perf_counter()
    spans = diariser.diarise(samples)
    seconds = time.perf_counter() - started
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return {
        "real_time_factor": round(seconds / 3600, 4),
        "spans": len(spans),
        "speakers": len({span.speaker for span in spans}),
        "peak_memory_mb": round(peak / 1024),
        "peak_memory_before_mb": round(before / 1024),
    }


if __name__ == "__main__":
    main()
