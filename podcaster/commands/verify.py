"""`podcaster verify`: who signed a file, whether it was changed since, and what it admits."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from podcaster.commands.telling import Json, emit, told

if TYPE_CHECKING:
    from podcaster.publish.manifest import Manifest
    from podcaster.verifying import Findings

_CONTRADICTED = 3  # the exit code of input that cannot be used

_STATES = {
    "trusted": "intact, and signed by somebody whom you trust",
    "untrusted": "intact, but nobody that you trust vouches for who signed it",
    "altered": "ALTERED: this file is not what was signed",
    "invalid": "INVALID: it proves nothing",
}


@told
def verify(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="An MP3.")],
    trust: Annotated[
        Path | None,
        typer.Option(metavar="PEM", help="Certificates that may vouch for who signed."),
    ] = None,
    watermark: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="AudioSeal's files: its mark is listened for."),
    ] = None,
    json_output: Json = False,
) -> None:
    """Say who signed a file, whether it was changed, and whether it admits to be made by AI.

    Exits with 3 where a manifest is there and broken, or the file is not what was signed.
    """
    from podcaster.verifying import verify_file

    findings = verify_file(
        file.expanduser(),
        trust.expanduser() if trust else None,
        watermark=watermark.expanduser() if watermark else None,
    )
    emit(_to_plain(findings), as_json=json_output, text="\n".join(_lines(findings)))
    if not findings.holds:
        raise typer.Exit(_CONTRADICTED)


def _to_plain(findings: "Findings") -> dict[str, object]:
    import msgspec

    plain: dict[str, object] = msgspec.to_builtins(findings)
    return {**plain, "holds": findings.holds}


def _lines(findings: "Findings") -> list[str]:
    lines = [f"{findings.file}  {findings.duration_s:.1f} s"]
    if findings.manifest is not None:
        lines += _manifest_lines(findings.manifest)
    else:
        lines.append(f"manifest   {findings.unchecked or 'none: nothing proves who made it'}")
    tags = findings.tags
    if tags is None:
        lines.append("tags       none")
    else:
        says = "that AI made it" if findings.says_ai else "nothing of AI"
        lines.append(f"tags       {tags.title or 'no title'}, by {tags.artist or 'nobody'}")
        lines.append(f"           the comment says {says}")
    mark = findings.watermark
    if mark is None:
        lines.append("watermark  not listened for (--watermark)")
    else:
        judged = "taken for podcaster's" if mark.ours else "not taken for podcaster's"
        heard = f"heard in {mark.share:.0%} of the sound, {mark.matching_bits} of 16 bits"
        lines.append(f"watermark  {heard}: {judged}")
    return lines


def _manifest_lines(manifest: "Manifest") -> list[str]:
    lines = [f"manifest   {_STATES[manifest.state]}"]
    if manifest.problems:
        lines.append(f"           problems: {', '.join(manifest.problems)}")
    if manifest.state in ("altered", "invalid") and manifest.signer:
        lines.append("           what it claims, unproved:")
    if manifest.signer or manifest.issuer:
        when = f" at {manifest.signed_at}" if manifest.signed_at else ""
        signer = f"{manifest.signer or '?'} ({manifest.issuer or '?'}, {manifest.algorithm})"
        lines.append(f"           signed by {signer}{when}, with {manifest.generator or '?'}")
    if manifest.source_types:
        lines.append(f"           source type: {', '.join(manifest.source_types)}")
    if manifest.making is not None:
        lines.append(f"           written by the model {manifest.making.model}")
        lines += [
            f"           {voice.role} {voice.speaker}: voice {voice.voice} ({voice.engine}), "
            f"consent {voice.consent}"
            for voice in manifest.making.voices
        ]
    return lines
