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
    accept_licence: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="You accept this licence of a model that you name: cpml, of xtts-v2.",
        ),
    ] = None,
    json_output: Json = False,
    home: Home = None,
) -> None:
    """List the models of each tier and what this machine can run; download those named."""
    place = resolve_home(home)
    if what or accept_licence:
        _download(what or [], accept_licence or [], as_json=json_output)
    else:
        _list_models(place, as_json=json_output)


def _list_models(home: Any, *, as_json: bool) -> None:
    import msgspec

    from podcaster.setup.cache import list_offers
    from podcaster.setup.machine import survey
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
    listening, heard = _list_listening()
    speaking, spoken = _list_speaking()
    result = {
        "machine": msgspec.to_builtins(machine),
        "models": [msgspec.to_builtins(offer) for offer in offers],
        "speech_models": listening,
        "voice_models": speaking,
    }
    how = (
        "builtin, kokoro (int8) and whisper-tiny.en come as packages. Download the others with "
        "`podcaster setup TIER`, or by name."
    )
    emit(result, as_json=as_json, text=f"{table}\n\n{heard}\n\n{spoken}\n\n{how}")


def _list_listening() -> tuple[list[dict[str, str]], str]:
    """The models that listen, for programs and as a table."""
    from podcaster.setup.packaged import WHISPER_TINY_EN, locate_packaged
    from podcaster.setup.speech import list_speech_offers
    from podcaster.terminal import format_table
    from podcaster.units import format_bytes

    offers = list_speech_offers()
    packaged, lies = WHISPER_TINY_EN, locate_packaged(WHISPER_TINY_EN.name)
    size, here = format_bytes(packaged.size_bytes), "here" if lies else "-"
    rows = [(packaged.name, size, packaged.licence, here, packaged.purpose)]
    rows += [
        (
            one.model.name,
            one.model.about,
            one.model.licence,
            "here" if one.path else "-",
            one.model.purpose,
        )
        for one in offers
    ]
    folder = str(lies[0].parent) if lies else ""
    listed = [{"name": packaged.name, "licence": packaged.licence, "path": folder}]
    listed += [
        {"name": one.model.name, "licence": one.model.licence, "path": str(one.path or "")}
        for one in offers
    ]
    return listed, format_table(("LISTENS", "ABOUT", "LICENCE", "HERE", "FOR"), rows)


def _list_speaking() -> tuple[list[dict[str, Any]], str]:
    """The models that speak, for programs and as a table."""
    from podcaster.setup.packaged import KOKORO, locate_packaged
    from podcaster.setup.voices import list_voice_offers
    from podcaster.terminal import format_table
    from podcaster.units import format_bytes

    offers = list_voice_offers()
    here = "here" if locate_packaged(KOKORO.name) else "-"
    size = format_bytes(KOKORO.size_bytes)
    rows = [(f"{KOKORO.name} (int8)", size, KOKORO.licence, here, KOKORO.purpose)]
    rows += [
        (
            one.model.name,
            one.model.files.about,
            one.model.files.licence + ("" if one.accepted else ", yours to accept"),
            "here" if one.path else "-",
            one.model.files.purpose,
        )
        for one in offers
    ]
    listed = [
        {
            "name": one.model.name,
            "licence": one.model.files.licence,
            "accepted": one.accepted,
            "path": str(one.path or ""),
        }
        for one in offers
    ]
    return listed, format_table(("SPEAKS", "ABOUT", "LICENCE", "HERE", "FOR"), rows)


def _download(names: list[str], licences: list[str], *, as_json: bool) -> None:
    from podcaster.setup.catalogue import choose_models
    from podcaster.setup.download import download
    from podcaster.setup.packaged import WHISPER_TINY_EN
    from podcaster.setup.speech import choose_speech_models, download_speech_models
    from podcaster.setup.voices import check_accepting, choose_voice_models, download_voice_models
    from podcaster.terminal import TerminalProgress

    listening = choose_speech_models(names)
    speaking = choose_voice_models(names)
    check_accepting(licences, speaking)
    others = {*(model.name for model in listening), *(model.name for model in speaking)}
    others.add(WHISPER_TINY_EN.name)
    models = choose_models([name for name in names if name not in others])
    with TerminalProgress() as progress:
        downloads: list[Any] = [*download(models, progress)]
        downloads += download_speech_models(listening, progress)
        downloads += download_voice_models(speaking, licences, progress)
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
    text = "\n".join(lines) or "It comes as a package: there is nothing to download."
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
