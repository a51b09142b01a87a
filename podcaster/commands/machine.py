"""`podcaster setup` and `podcaster doctor`: what this machine can run, and what works on it."""

from typing import Annotated, Any

import typer

from podcaster.commands.telling import Home, Json, emit, resolve_home, told


@told
def setup(
    what: Annotated[
        list[str] | None,
        typer.Argument(metavar="[TIER|MODEL]...", help="What to download; nothing: list only."),
    ] = None,
    json_output: Json = False,
    home: Home = None,
) -> None:
    """List the models of each tier and what this machine can run; download those named."""
    place = resolve_home(home)
    if what:
        _download(what, as_json=json_output)
    else:
        _list_models(place, as_json=json_output)


def _list_models(home: Any, *, as_json: bool) -> None:
    import msgspec

    from podcaster.setup.cache import list_offers
    from podcaster.setup.machine import survey
    from podcaster.setup.speech import list_speech_offers
    from podcaster.terminal import format_table
    from podcaster.units import format_bytes

    machine = survey(home)
    offers = list_offers(machine)
    rows = [
        (
            offer.tier.value,
            offer.name,
            format_bytes(offer.size_bytes),
            offer.licence,
            "here" if offer.path else "-",
            f"{offer.verdict.level}: {offer.verdict.reason}",
        )
        for offer in offers
    ]
    table = format_table(("TIER", "MODEL", "SIZE", "LICENCE", "HERE", "ON THIS MACHINE"), rows)
    listening = [
        {"name": one.model.name, "licence": one.model.licence, "path": str(one.path or "")}
        for one in list_speech_offers()
    ]
    heard = format_table(
        ("LISTENS", "ABOUT", "LICENCE", "HERE", "FOR"),
        [
            (
                one.model.name,
                one.model.about,
                one.model.licence,
                "here" if one.path else "-",
                one.model.purpose,
            )
            for one in list_speech_offers()
        ],
    )
    result = {
        "machine": msgspec.to_builtins(machine),
        "models": [msgspec.to_builtins(offer) for offer in offers],
        "speech_models": listening,
    }
    how = "Download with `podcaster setup TIER`, or by name."
    emit(result, as_json=as_json, text=f"{table}\n\n{heard}\n\n{how}")


def _download(names: list[str], *, as_json: bool) -> None:
    from podcaster.setup.catalogue import choose_models
    from podcaster.setup.download import download
    from podcaster.setup.speech import choose_speech_models, download_speech_models
    from podcaster.terminal import TerminalProgress

    listening = choose_speech_models(names)
    heard = {model.name for model in listening}
    models = choose_models([name for name in names if name not in heard])
    with TerminalProgress() as progress:
        downloads: list[Any] = [*download(models, progress)]
        downloads += download_speech_models(listening, progress)
    rows = [
        {
            "name": one.model.name,
            "path": str(one.path) if one.path else None,
            "fetched_bytes": one.fetched_bytes,
            "error": str(one.error) if one.error else None,
        }
        for one in downloads
    ]
    lines = [f"{row['name']}  {row['path'] or row['error']}" for row in rows]
    text = "\n".join(lines) or "The draft tier is built in: there is nothing to download."
    emit({"models": rows}, as_json=as_json, text=text)
    failed = [one.error for one in downloads if one.error]
    if failed:
        raise typer.Exit(failed[0].exit_code)


@told
def doctor(json_output: Json = False, home: Home = None) -> None:
    """Say what works here, and what to type for the rest."""
    import msgspec

    from podcaster.doctor import examine, makes_episodes
    from podcaster.terminal import format_table

    findings = examine(resolve_home(home))
    rows = [(finding.state, finding.what, finding.detail) for finding in findings]
    advice = [f"  {finding.what}: {finding.next_step}" for finding in findings if finding.next_step]
    text = format_table(("", "WHAT", "DETAIL"), rows)
    if advice:
        text += "\n\nTo do:\n" + "\n".join(advice)
    works = makes_episodes(findings)
    emit(
        {"works": works, "findings": [msgspec.to_builtins(finding) for finding in findings]},
        as_json=json_output,
        text=text,
    )
    if not works:
        raise typer.Exit(4)
