"""How fast transcripts are read on one core: markdown of the Changelog, a page, a log, captions.

    python bench/imports.py [FOLDER]

FOLDER holds unpacked markdown transcripts with `**Name:**` labels; `changelog-transcripts.tar.xz`
beside the repository is read where none is given. Prints one JSON line; the rates are megabytes of
text a second of processor time, files read from memory. Without data it says so and ends.
"""

import json
import sys
import tarfile
import time
from collections.abc import Sequence
from pathlib import Path

from podcaster.captions import format_json, format_srt, format_vtt
from podcaster.errors import InputError
from podcaster.ingest.imports import parse_transcript
from podcaster.model import Segment

DATA = Path(__file__).parents[2] / "shared" / "data"
MOST_BYTES = 20_000_000


def read_changelog(folder: Path | None) -> list[tuple[str, bytes]]:
    """Some megabytes of transcripts, by name; none where there is no data."""
    found: list[tuple[str, bytes]] = []
    archive = DATA / "changelog-transcripts.tar.xz"
    if folder is not None:
        paths = sorted(folder.rglob("*.md"))
        for path in paths:
            found.append((path.name, path.read_bytes()))
            if sum(len(content) for _, content in found) > MOST_BYTES:
                break
    elif archive.is_file():
        with tarfile.open(archive, mode="r|*") as stream:
            for member in stream:
                content = stream.extractfile(member) if member.name.endswith(".md") else None
                if content is not None:
                    found.append((Path(member.name).name, content.read()))
                if sum(len(content) for _, content in found) > MOST_BYTES:
                    break
    return found


def measure(texts: Sequence[tuple[str, bytes]]) -> dict[str, float]:
    """Read all texts once: how many, how much, how fast; what is no transcript is counted."""
    utterances = refused = 0
    start = time.process_time()
    for name, content in texts:
        try:
            utterances += len(parse_transcript(content, name).utterances)
        except InputError:
            refused += 1
    seconds = time.process_time() - start
    megabytes = sum(len(content) for _, content in texts) / 1e6
    return {
        "files": len(texts),
        "refused": refused,
        "utterances": utterances,
        "megabytes": round(megabytes, 2),
        "megabytes_per_second": round(megabytes / seconds, 1),
    }


def make_captions() -> dict[str, list[tuple[str, bytes]]]:
    """Twenty hours of captions, in each format that episodes are published with."""
    segments = [
        Segment(
            text="This is said in a caption.", start_s=2.0 * i, end_s=2.0 * i + 1.5, speaker=who
        )
        for i in range(36_000)
        for who in ("Ann Smith" if i % 3 else "Bob",)
    ]
    return {
        "srt": [("a.srt", format_srt(segments))],
        "vtt": [("a.vtt", format_vtt(segments))],
        "json": [("a.json", format_json(segments))],
    }


def main() -> None:
    """Print the line."""
    changelog = read_changelog(Path(sys.argv[1]) if len(sys.argv) > 1 else None)
    if not changelog:
        print("No transcripts to read: name a folder of markdown transcripts.", file=sys.stderr)
        return
    measured = {"changelog": measure(changelog)}
    measured |= {kind: measure(texts) for kind, texts in make_captions().items()}
    rate = measured["changelog"]["megabytes_per_second"]
    print(json.dumps({"bench": "imports", "megabytes_per_second_one_core": rate, **measured}))


if __name__ == "__main__":
    main()
