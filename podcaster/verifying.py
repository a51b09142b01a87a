"""What `podcaster verify` finds in a file: who signed it, whether it was changed, what it admits.

A manifest proves who signed and that nothing was changed since. Without one, nothing is proved:
tags are only what somebody wrote.
"""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import numpy as np

from podcaster import audio
from podcaster.engines import open_engine
from podcaster.errors import EngineMissing, InputError
from podcaster.model import Noun
from podcaster.publish.id3 import FoundTags, read_id3
from podcaster.publish.manifest import Manifest, read_anchors, read_manifest
from podcaster.publish.notes import DISCLOSURE_START

_RATE_HZ, _BLOCK_S = 16_000, 10.0
LARGEST_FILE_BYTES = 4_000_000_000  # more than a day of MP3 at 320 kbit/s


class Watermark(Noun, frozen=True):
    """What was heard of AudioSeal's mark: in how much of the sound, how many of our bits of 16.

    `ours` is a judgement from both, and may be wrong either way.
    """

    share: float
    matching_bits: int
    ours: bool


class Findings(Noun, frozen=True):
    """What a file is and says of itself.

    `manifest` is None where there is none, or where it was not looked at: then `unchecked` says
    why. `says_ai` tells whether the tag's comments admit that AI made it. `watermark` is None
    where it was not listened for.
    """

    file: str
    duration_s: float
    tags: FoundTags | None
    says_ai: bool
    manifest: Manifest | None
    unchecked: str = ""
    watermark: Watermark | None = None

    @property
    def holds(self) -> bool:
        """Whether the file is what its manifest says; with no manifest, nothing is contradicted."""
        return self.manifest is None or self.manifest.state in ("trusted", "untrusted")


def verify_file(
    path: Path, trust: Path | None = None, *, watermark: Path | None = None
) -> Findings:
    """Look at an MP3; `trust` is a PEM file of certificates that may vouch for who signed.

    `watermark` is the folder of AudioSeal's files: its mark is listened for.

    Raises InputError where the file is no MP3, is too large, or `trust` has no certificates;
    EngineMissing where it holds a manifest, and c2pa-python is not installed, or `watermark` has
    not what it should; EngineError where that is damaged.
    """
    anchors = read_anchors(trust) if trust else b""
    try:
        size_bytes = path.stat().st_size if path.is_file() else None
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}.") from error
    if size_bytes is None:
        raise InputError(f"{path} is not a file, expected an MP3.")
    if size_bytes > LARGEST_FILE_BYTES:
        raise InputError(
            f"{path} has {size_bytes:,} bytes, expected an MP3 of at most {LARGEST_FILE_BYTES:,}."
        )
    tags = read_id3(path)
    info = audio.probe(path)
    if not info.codec.startswith("mp3"):
        raise InputError(f"{path} holds {info.codec}, expected an MP3.")
    manifest, unchecked = None, ""
    try:
        manifest = read_manifest(path, anchors=anchors)
    except EngineMissing as error:
        if tags is not None and tags.manifests:
            raise
        unchecked = error.message
    if manifest is None and not unchecked and tags is not None and tags.manifests:
        # the library passes over tags that it cannot parse: a wrong byte would hide a manifest
        manifest = Manifest(state="invalid", problems=("the tag around the manifest is broken",))
    return Findings(
        file=str(path),
        duration_s=info.duration_s,
        tags=tags,
        says_ai=tags is not None and any(DISCLOSURE_START in text for text in tags.comments),
        manifest=manifest,
        unchecked=unchecked,
        watermark=_listen(path, watermark) if watermark else None,
    )


def _listen(path: Path, model: Path) -> Watermark:
    with closing(open_engine("mark", "audioseal", model=str(model))) as marker:
        found = marker.detect(_blocks(path), _RATE_HZ)
    return Watermark(share=found.share, matching_bits=found.matching_bits, ours=found.ours)


def _blocks(path: Path) -> Iterator[audio.Samples]:
    """The sound in blocks of `_BLOCK_S`: the models see more of it than in single seconds."""
    pending: list[audio.Samples] = []
    for block in audio.decode(path, _RATE_HZ, 1):
        pending.append(block)
        if sum(len(samples) for samples in pending) >= _BLOCK_S * _RATE_HZ:
            yield np.concatenate(pending)
            pending.clear()
    if pending:
        yield np.concatenate(pending)
