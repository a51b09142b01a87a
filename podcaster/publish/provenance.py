"""Sign a provenance manifest (C2PA) into an MP3: who made it, and that an algorithm did.

The certificate chain and key are the user's own; the environment says where they lie, and nothing
of them is written down. A signature holds the moment of signing, so signed bytes differ from run
to run. Specification: C2PA 2.x; the source type is IPTC's `trainedAlgorithmicMedia`.
"""

import os
from collections.abc import Mapping
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

import msgspec

from podcaster import __version__
from podcaster.errors import ConfigError, EngineError, EngineMissing, foreign
from podcaster.model import Noun, Script, Voice
from podcaster.publish.text import clean_line

CERTIFICATE_VARIABLE = "PODCASTER_SIGN_CERT"
KEY_VARIABLE = "PODCASTER_SIGN_KEY"
ALGORITHM_VARIABLE = "PODCASTER_SIGN_ALGORITHM"
ALGORITHMS = ("es256", "es384", "es512", "ps256", "ps384", "ps512", "ed25519")
MAKING_LABEL = "podcaster.making"  # of the assertion that is our own
SOURCE_TYPE = "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"
_LONGEST_PEM_BYTES = 1_000_000


class UsedVoice(Noun, frozen=True):
    """Who sounded how: a speaker's name, the voice, its engine, and how its use was allowed.

    `consent` is the kind (self, written, licensed, public-domain), or `not needed` for a voice
    that is nobody's. Who consented, when and where the proof lies stays private.
    """

    speaker: str
    role: str
    voice: str
    engine: str
    consent: str


class Making(Noun, frozen=True):
    """How an episode was made, as far as a listener may know: our assertion in the manifest."""

    disclosure: str
    model: str
    voices: tuple[UsedVoice, ...]


def describe_making(script: Script, voices: Mapping[str, Voice], *, disclosure: str) -> Making:
    """Say what made an episode; `voices` are by speaker id. Of the model's path its name stays."""
    model = PurePosixPath(PureWindowsPath(script.model).as_posix()).name
    used = []
    for speaker in script.speakers:
        voice = voices[speaker.id]
        kind = voice.consent.kind if voice.consent else "not needed"
        used.append(
            UsedVoice(
                speaker=clean_line(speaker.name, fallback="?"),
                role=speaker.role,
                voice=voice.name,
                engine=voice.engine,
                consent="unrecorded" if voice.references and not voice.consent else kind,
            )
        )
    return Making(
        disclosure=disclosure, model=clean_line(model, fallback="unknown"), voices=tuple(used)
    )


def sign_mp3(path: Path, *, title: str, making: Making) -> None:
    """Replace the tagged MP3 at `path` with the same one and a signed manifest in its tag.

    Sign last: the manifest covers every byte, tags included, and the ID3 tag becomes version 2.4.

    Raises EngineMissing without c2pa-python, ConfigError where the environment names no certificate
    or key, EngineError where the library refuses them.
    """
    certificate = _read_pem(CERTIFICATE_VARIABLE, "certificate chain")
    key = _read_pem(KEY_VARIABLE, "private key")
    algorithm = os.environ.get(ALGORITHM_VARIABLE, ALGORITHMS[0]).lower()
    if algorithm not in ALGORITHMS:
        raise ConfigError(
            f"{ALGORITHM_VARIABLE} is {algorithm!r}, expected one of {', '.join(ALGORITHMS)}."
        )
    try:
        import c2pa
    except ImportError as error:
        raise EngineMissing(
            "Signing needs c2pa-python, which is not installed.",
            next_step="Install it with `pip install 'podcaster[provenance]'`, or set "
            "`sign = false` in [publish].",
        ) from error
    signed = path.with_name(f".signed-{path.name}")
    try:
        with foreign(EngineError, "Signing the MP3 with c2pa"):
            info = c2pa.C2paSignerInfo(algorithm, certificate, key, b"")
            info.ta_url = None  # no time stamp from a server: publishing works offline
            with (
                c2pa.Signer.from_info(info) as signer,
                c2pa.Builder(_manifest(title, making)) as builder,
                path.open("rb") as source,
                signed.open("w+b") as target,
            ):
                builder.sign(signer, "audio/mpeg", source, target)
            signed.replace(path)
    finally:
        signed.unlink(missing_ok=True)


def _manifest(title: str, making: Making) -> dict[str, Any]:
    """The manifest's definition: what was done, and our own assertion."""
    ours = {"name": "podcaster", "version": __version__}
    engines = ", ".join(sorted({voice.engine for voice in making.voices}))
    actions = [
        {
            "action": "c2pa.created",
            "digitalSourceType": SOURCE_TYPE,
            "softwareAgent": ours,
            "description": f"The conversation was written by the model {making.model}.",
        },
        {
            "action": "podcaster.spoken",
            "softwareAgent": ours,
            "description": f"Synthetic voices spoke it: {engines}.",
        },
        {"action": "podcaster.mixed", "softwareAgent": ours},
    ]
    return {
        "title": title,
        "format": "audio/mpeg",
        "claim_generator_info": [ours],
        "assertions": [
            {"label": "c2pa.actions.v2", "data": {"actions": actions}},
            {"label": MAKING_LABEL, "data": msgspec.to_builtins(making), "kind": "Json"},
        ],
    }


def _read_pem(variable: str, what: str) -> bytes:
    name = os.environ.get(variable, "")
    if not name:
        raise ConfigError(
            f"Signing needs a {what}, but {variable} is not set.",
            next_step=f"Set {variable} to the path of a PEM file, or `sign = false` in [publish].",
        )
    try:
        with Path(name).open("rb") as file:
            data = file.read(_LONGEST_PEM_BYTES)
    except OSError as error:
        raise ConfigError(
            f"The {what} that {variable} names cannot be read: {error.strerror or error}."
        ) from error
    if b"-----BEGIN" not in data:
        raise ConfigError(f"The file that {variable} names is not a {what} in PEM form.")
    return data
