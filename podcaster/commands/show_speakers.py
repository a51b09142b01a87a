"""`podcaster show speakers`: who is who in a show, and putting it right."""

from typing import Annotated, Any

import typer

from podcaster.commands.telling import Home, Json, emit, resolve_home, told


@told
def speakers(
    name: Annotated[str, typer.Argument(metavar="NAME", help="The show's name.")],
    rename: Annotated[
        list[str] | None,
        typer.Option(metavar="ID=NAME", help="Name a voice, everywhere; who has the name joins."),
    ] = None,
    merge: Annotated[
        list[str] | None, typer.Option(metavar="ID=ID", help="The first is the second.")
    ] = None,
    split: Annotated[
        list[str] | None,
        typer.Option(metavar="ID:RECORDING", help="In this recording it is somebody else."),
    ] = None,
    reassign: Annotated[
        list[str] | None,
        typer.Option(metavar="RECORDING:TURN=ID", help="Give one turn to somebody else."),
    ] = None,
    drop: Annotated[
        list[str] | None, typer.Option(metavar="ID", help="It is nobody: an advertisement's voice.")
    ] = None,
    references: Annotated[
        bool, typer.Option(help="Cut clean passages of each voice to voices/, without consent.")
    ] = True,
    cluster: Annotated[
        str | None, typer.Option(help="A Ray cluster to join: host:port, auto; or local.")
    ] = None,
    json_output: Json = False,
    home: Home = None,
) -> None:
    """Find out who is who over a show's recordings, or put it right; then show it.

    What you say is kept apart (speakers/corrections.json) and applied again at each run.
    """
    from podcaster.config import load_configuration
    from podcaster.identifying import describe_identified, identify_show
    from podcaster.speakers.requests import Requests
    from podcaster.terminal import TerminalProgress
    from podcaster.workers import open_workers

    place = resolve_home(home)
    flags = {} if cluster is None else {"cluster.address": cluster}
    settings = load_configuration(place, flags).settings
    requests = Requests(
        rename=tuple(rename or ()),
        merge=tuple(merge or ()),
        split=tuple(split or ()),
        reassign=tuple(reassign or ()),
        drop=tuple(drop or ()),
    )
    with (
        TerminalProgress() as progress,
        open_workers(settings.cluster, settings.transcribe.workers, progress) as workers,
    ):
        identified = identify_show(
            place,
            name,
            progress,
            mapper=workers.mapper,
            corrections=requests,
            references=references,
        )
    tally = identified.tally
    tally.workers = workers.count
    result = describe_identified(identified)
    emit(result, as_json=json_output, text=_format(result))
    if tally.exit_code:
        raise typer.Exit(tally.exit_code)


def _format(result: dict[str, Any]) -> str:
    from podcaster.terminal import format_table

    if not result["speakers"]:
        return "Nobody is known to speak: no transcript tells its speakers apart."
    headers = ("ID", "NAME", "ROLE", "SHARE", "RECORDINGS", "NAMED BY")
    rows = [
        (
            one["id"],
            one["name"] or "-",
            "dropped" if one["dropped"] else one["role"],
            f"{one['share']:.1%}",
            str(len(one["recordings"])),
            one["named_by"],
        )
        for one in result["speakers"]
    ]
    parts = [format_table(headers, rows)]
    parts += [_format_speaker(one) for one in result["speakers"]]
    if result["failures"]:
        failed = [(one["item"], one["error"]) for one in result["failures"]]
        parts.append(format_table(("FAILED", "WHY"), failed))
    return "\n\n".join(parts)


def _format_speaker(one: dict[str, Any]) -> str:
    from podcaster.units import format_duration

    lines = [f"{one['id']}" + (f" ({one['name']})" if one["name"] else "")]
    for said in one["excerpts"]:
        when = f" {format_duration(said['start_s'])}" if said["start_s"] is not None else ""
        lines.append(f"  {said['recording']}:{said['turn']}{when}  {said['text']}")
    if one["clip"]:
        lines.append(f"  play {one['clip']}")
    if one["voice"]:
        consent = one["consent"] or "no consent yet: it is not cloned"
        lines.append(f"  voice {one['voice']} ({consent})")
    if one["named_by"] == "proposal" and one["evidence"]:
        why = one["evidence"][0]
        lines.append(f"  named for: {why['text']} ({why['recording']})")
    lines += [f"  doubtful: {flag}" for flag in one["flags"]]
    return "\n".join(lines)
