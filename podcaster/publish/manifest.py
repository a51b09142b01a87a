"""Read a provenance manifest (C2PA) back out of an MP3: whether it holds, and what it says.

Nothing is fetched: no manifest from an address that the file names, no list of revoked
certificates. Specification: C2PA 2.x, validation (its codes name what is wrong).
"""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Literal

import msgspec

from podcaster.errors import EngineMissing, InputError
from podcaster.model import Noun
from podcaster.publish.provenance import MAKING_LABEL, Making
from podcaster.publish.text import clean_line

# trusted: intact, and a given certificate vouches for who signed; untrusted: intact only;
# altered: the file or the manifest was changed after it was signed; invalid: anything else
ManifestState = Literal["trusted", "untrusted", "altered", "invalid"]

_UNTRUSTED = "signingCredential.untrusted"
_ALTERED = ("dataHash.mismatch", "hashedURI.mismatch", "claimSignature.mismatch")
_LARGEST_PEM_BYTES = 1_000_000
_MOST_ITEMS = 50


class Manifest(Noun, frozen=True):
    """What a manifest says and whether to believe it; all text is the file's, cleaned.

    `problems` are C2PA's codes, or the library's sentence where it cannot be read at all.
    `making` is what podcaster writes of itself; None where another program wrote the manifest.
    """

    state: ManifestState
    problems: tuple[str, ...] = ()
    title: str = ""
    generator: str = ""
    signer: str = ""
    issuer: str = ""
    algorithm: str = ""
    signed_at: str = ""
    source_types: tuple[str, ...] = ()
    actions: tuple[str, ...] = ()
    making: Making | None = None


def read_manifest(path: Path, *, anchors: bytes = b"") -> Manifest | None:
    """Read and check the manifest in the MP3 at `path`; None where there is none.

    `anchors` are certificates in PEM form that are trusted. A manifest that cannot be read comes
    back as invalid.

    Raises EngineMissing without c2pa-python, InputError where the file cannot be opened.
    """
    try:
        import c2pa
    except ImportError as error:
        raise EngineMissing(
            "Checking a manifest needs c2pa-python, which is not installed.",
            next_step="Install it with `pip install 'podcaster[provenance]'`.",
        ) from error
    settings: dict[str, Any] = {
        "verify": {"remote_manifest_fetch": False, "ocsp_fetch": False, "verify_trust": True}
    }
    if anchors:
        settings["trust"] = {"user_anchors": anchors.decode("ascii", errors="replace")}
    try:
        with (
            path.open("rb") as file,
            c2pa.Context.from_dict(settings) as context,
            c2pa.Reader("audio/mpeg", file, None, context) as reader,
        ):
            text = reader.json()
    except c2pa.C2paError.ManifestNotFound:
        return None
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}.") from error
    except c2pa.C2paError as error:
        return Manifest(state="invalid", problems=(clean_line(str(error)),))
    return parse_report(text)


def read_anchors(path: Path) -> bytes:
    """Read certificates that are trusted. Raises InputError where the file holds none."""
    try:
        with path.open("rb") as file:
            data = file.read(_LARGEST_PEM_BYTES + 1)
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}.") from error
    if b"-----BEGIN CERTIFICATE-----" not in data or len(data) > _LARGEST_PEM_BYTES:
        raise InputError(f"{path} is no file of certificates in PEM form.")
    return data


def parse_report(text: str) -> Manifest:
    """Make sense of the library's report, in JSON; it repeats what a stranger wrote."""
    try:
        report = _mapping(msgspec.json.decode(text))
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        return Manifest(state="invalid", problems=(f"its report cannot be read: {error}",))
    active = _mapping(_mapping(report.get("manifests")).get(str(report.get("active_manifest"))))
    codes = tuple(
        dict.fromkeys(_line(status.get("code")) for status in _each(report, "validation_status"))
    )
    signature = _mapping(active.get("signature_info"))
    assertions = {str(a.get("label")): a.get("data") for a in _each(active, "assertions")}
    actions = [
        action
        for label, data in assertions.items()
        if label.startswith("c2pa.actions")
        for action in _each(_mapping(data), "actions")
    ]
    return Manifest(
        state=_judge(report.get("validation_state"), codes) if active else "invalid",
        problems=codes,
        title=_line(active.get("title")),
        generator=_generator(active),
        signer=_line(signature.get("common_name")),
        issuer=_line(signature.get("issuer")),
        algorithm=_line(signature.get("alg")),
        signed_at=_line(signature.get("time")),
        source_types=_lines(
            str(a.get("digitalSourceType", "")).rpartition("/")[2] for a in actions
        ),
        actions=_lines(a.get("action") for a in actions),
        making=_making(assertions.get(MAKING_LABEL)),
    )


def _judge(state: object, codes: tuple[str, ...]) -> ManifestState:
    wrong = [code for code in codes if code != _UNTRUSTED]
    if state == "Trusted" and not codes:
        return "trusted"
    if state == "Valid" and not wrong:
        return "untrusted"
    return "altered" if any(code.endswith(_ALTERED) for code in wrong) else "invalid"


def _making(data: object) -> Making | None:
    try:
        found = msgspec.convert(data, Making)
    except msgspec.ValidationError:
        return None
    voices = tuple(
        msgspec.structs.replace(
            voice, **{field: _line(value) for field, value in msgspec.structs.asdict(voice).items()}
        )
        for voice in found.voices[:_MOST_ITEMS]
    )
    return msgspec.structs.replace(
        found, disclosure=_line(found.disclosure), model=_line(found.model), voices=voices
    )


def _generator(active: Mapping[str, Any]) -> str:
    names = (
        f"{_line(info.get('name'))} {_line(info.get('version'))}".strip()
        for info in _each(active, "claim_generator_info")
    )
    return ", ".join(_lines(names)) or _line(active.get("claim_generator"))


def _each(holder: Mapping[str, Any], key: str) -> list[Mapping[str, Any]]:
    found = holder.get(key)
    return [_mapping(item) for item in found[:_MOST_ITEMS]] if isinstance(found, list) else []


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _line(value: object) -> str:
    return clean_line(value) if isinstance(value, str) else ""


def _lines(values: Iterable[object]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(line for value in values if (line := _line(value))))
