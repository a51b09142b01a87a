"""`podcaster voice`: the voices there are, and how they sound; adding and removing them."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

from podcaster.commands.telling import PLAIN, Home, Json, emit, resolve_home, told

voice_app = typer.Typer(help="The voices that can speak.", **PLAIN)


@voice_app.command("add")
@told
def add(
    name: Annotated[str, typer.Argument(metavar="NAME", help="The voice's name.")],
    audio: Annotated[
        list[Path] | None, typer.Argument(metavar="AUDIO...", help="Recordings of one person.")
    ] = None,
    consent: Annotated[
        str | None, typer.Option(help="self, written, licensed or public-domain.")
    ] = None,
    by: Annotated[str | None, typer.Option(help="Whose voice it is, who allows it.")] = None,
    on: Annotated[str | None, typer.Option(help="When, as 2026-11-20. [default: today]")] = None,
    proof: Annotated[str | None, typer.Option(help="Where the proof of it lies.")] = None,
    show: Annotated[str | None, typer.Option(help="A show that the person speaks in.")] = None,
    speaker: Annotated[str | None, typer.Option(help="Who: a name or an id.")] = None,
    language: Annotated[
        list[str] | None, typer.Option(help="What it speaks; may be repeated. [default: en]")
    ] = None,
    description: Annotated[str, typer.Option(help="What it is like.")] = "",
    licence: Annotated[str, typer.Option(help="Who may use it, and for what.")] = "",
    wpm: Annotated[float | None, typer.Option(help="Its words a minute, if you know.")] = None,
    replace: Annotated[
        bool, typer.Option("--replace", help="Even if there is a voice of that name.")
    ] = False,
    json_output: Json = False,
    home: Home = None,
) -> None:
    """Add somebody's voice, from recordings or from a show's speakers, with a consent.

    The recordings are checked and copied; the originals are left alone.
    """
    from podcaster.errors import ConfigError
    from podcaster.terminal import TerminalProgress
    from podcaster.voice_library import add_show_voice, add_voice, describe_added
    from podcaster.voice_requests import Request, check_name, make_consent

    check_name(name)
    if bool(show) != bool(speaker) or (show and audio):
        raise ConfigError(
            "A voice comes from recordings, or from a show's speaker.",
            next_step=f"Type `podcaster voice add {name} AUDIO...` or `podcaster voice add {name} "
            '--show SHOW --speaker "NAME"`.',
        )
    kind = _ask(consent, "Whose consent is there (self, written, licensed, public-domain)")
    who = _ask(by, "Who gave it")
    where = proof if kind == "self" else _ask(proof, "Where does the proof lie")
    request = Request(
        name=name,
        consent=make_consent(kind, who, on, where),
        languages=tuple(language or ()),
        description=description.strip(),
        licence=licence.strip(),
        words_per_minute=wpm,
        replace=replace,
    )
    with TerminalProgress() as progress:
        place = resolve_home(home)
        if show and speaker:
            added = add_show_voice(place, request, show, speaker, progress)
        else:
            added = add_voice(place, request, audio or [], progress)
    result = describe_added(added)
    emit(result, as_json=json_output, text=_format_added(result))
    if added.refused:
        raise typer.Exit(5)


@voice_app.command("list")
@told
def list_voices(json_output: Json = False, home: Home = None) -> None:
    """List the voices: what speaks now, languages, pace, quality, consent."""
    from podcaster.config import load_configuration
    from podcaster.terminal import TerminalProgress, format_table
    from podcaster.voice_library import list_voice_rows

    place = resolve_home(home)
    with TerminalProgress() as progress:
        rows = list_voice_rows(place, progress, load_configuration(place, {}).settings.speak)
    table = format_table(
        ("VOICE", "ENGINE", "LANGUAGES", "WPM", "QUALITY", "CONSENT", "DESCRIPTION"),
        [
            (
                str(row["name"]),
                str(row["engine"] or "missing"),
                _format_languages(row["languages"]),
                f"{row['words_per_minute']:.0f}",
                str(row["quality"] or ("not checked" if row["consent_needed"] else "-")),
                str(row["consent"] or ("missing" if row["consent_needed"] else "not needed")),
                str(row["description"]),
            )
            for row in rows
        ],
    )
    emit({"voices": rows}, as_json=json_output, text=table)


@voice_app.command("say")
@told
def say(
    name: Annotated[str, typer.Argument(metavar="VOICE", help="The voice's name.")],
    text: Annotated[str, typer.Argument(metavar="TEXT", help="What it says.")],
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            help="WAV file; - writes WAV to stdout while it is spoken. [default: VOICE.wav]",
        ),
    ] = None,
    language: Annotated[str, typer.Option(help="Of the text.")] = "en",
    seed: Annotated[int, typer.Option(min=0, help="Another seed, another take.")] = 0,
    json_output: Json = False,
    home: Home = None,
) -> None:
    """Speak a text with a voice into a WAV file."""
    from podcaster.config import load_configuration
    from podcaster.speak.voices import check_consent, choose_voice, find_voices
    from podcaster.speaking import say_text, stream_text

    place = resolve_home(home)
    # who asks to hear a voice is not to hear another
    voice = choose_voice(name, find_voices(place))
    check_consent(voice)
    options = load_configuration(place, {}).settings.speak
    if output == Path("-"):
        pieces = stream_text(place, voice.name, text, language=language, seed=seed, options=options)
        _pipe(pieces)
        return
    path = output or Path.cwd() / f"{voice.name}.wav"
    spoken = say_text(place, voice.name, text, path, language=language, seed=seed, options=options)
    result = {
        "audio": str(path),
        "duration_s": spoken.duration_s,
        "sample_rate_hz": spoken.sample_rate_hz,
        "quality": spoken.quality,
    }
    emit(result, as_json=json_output, text=f"{path}  {spoken.duration_s:.1f} s")


def _pipe(pieces: Iterator[tuple[Any, int]]) -> None:
    """Write sound to stdout as WAV whose length nobody knows yet: players read on to the end."""
    from podcaster.audio import format_wav_start, to_pcm16

    begun = False
    try:
        for samples, rate_hz in pieces:
            if not begun:
                sys.stdout.buffer.write(format_wav_start(rate_hz))
                begun = True
            sys.stdout.buffer.write(to_pcm16(samples))
            sys.stdout.buffer.flush()
    except BrokenPipeError:
        # the player was closed: what Python would still flush has nowhere to go
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


@voice_app.command("remove")
@told
def remove(
    name: Annotated[str, typer.Argument(metavar="VOICE", help="The voice's name.")],
    clips: Annotated[
        bool, typer.Option("--clips", help="Also the clips and stems that it has spoken.")
    ] = False,
    yes: Annotated[
        bool, typer.Option("--yes", help="With --clips: the episodes that contain it, too.")
    ] = False,
    json_output: Json = False,
    home: Home = None,
) -> None:
    """Remove a voice and all that was derived from it; say which runs have clips of it.

    With a consent withdrawn, `--clips --yes` removes what it has spoken, from the feed, too.
    """
    from podcaster.errors import ConfigError
    from podcaster.voice_removal import (
        check_removable,
        describe_removed,
        find_uses,
        remove_voice,
    )

    place = resolve_home(home)
    if yes and not clips:
        raise ConfigError(
            "--yes confirms what --clips removes, and --clips is missing.",
            next_step=f"Type `podcaster voice remove {name} --clips --yes`.",
        )
    check_removable(place, name)
    mixed = [use.run for use in find_uses(place, name) if use.episodes] if clips else []
    if mixed and not yes and _at_terminal():
        told = f"Remove the episodes with this voice, too ({', '.join(mixed)})"
        yes = typer.confirm(told, default=False, err=True)
    removed = remove_voice(place, name, clips=clips, episodes=clips and yes)
    result = describe_removed(removed)
    text = _format_removed(result, from_show=removed.from_show, clips=clips, episodes=yes)
    emit(result, as_json=json_output, text=text)
    if removed.failures:
        raise typer.Exit(next(iter(removed.failures.values())).exit_code)


def _ask(given: str | None, question: str) -> str | None:
    """What was not typed is asked for, if somebody sits there to answer."""
    if given is not None or not _at_terminal():
        return given
    return str(typer.prompt(question, err=True))


def _at_terminal() -> bool:
    return sys.stdin.isatty() and sys.stderr.isatty()


def _format_languages(languages: list[str]) -> str:
    shown = ", ".join(languages[:4])
    return f"{shown}, … ({len(languages)})" if len(languages) > 4 else shown


def _format_added(result: dict[str, Any]) -> str:
    from podcaster.terminal import format_table

    rows = [
        (one["source"], f"{one['duration_s']:.1f} s", one["verdict"], one["reason"])
        for one in result["references"]
    ]
    consent = result["consent"]
    return "\n".join(
        [
            format_table(("RECORDING", "KEPT", "VERDICT", "WHY"), rows),
            f"\n{result['name']}: {result['quality']}, {result['words_per_minute']:.0f} words a "
            f"minute ({result['pace_source']}), {', '.join(result['languages'])}",
            f"consent {consent['kind']}, by {consent['by']}, on {consent['on']}: "
            f"{consent['proof']}",
            f'hear it with `podcaster voice say {result["name"]} "Good morning."`',
        ]
    )


def _format_removed(result: dict[str, Any], *, from_show: bool, clips: bool, episodes: bool) -> str:
    name = result["name"]
    lines = [f"{result['folder']} is gone." if result["folder"] else f"No voice {name} is left."]
    if from_show:
        lines.append(
            "It was cut from a show, and is cut again, without consent, when the show's speakers "
            "are: `podcaster show speakers SHOW --no-references` leaves that out."
        )
    if clips:
        lines.append(
            f"{result['clips_removed']} clips, {result['stems_removed']} stems and "
            f"{result['episodes_removed']} episodes are gone."
        )
    for use in result["runs"]:
        feed = ", and the feed" if use["in_feed"] else ""
        if not clips:
            more = ", and an episode mixed from them" if use["episodes"] else ""
            told = f"has {use['clips']} clips of it{more}"
            lines.append(f"{use['run']} {told}{feed}")
        elif use["episodes"] and not episodes:
            lines.append(f"{use['run']} still has its episode{feed}")
    if result["runs"] and not clips:
        lines.append(f"`podcaster voice remove {name} --clips` removes them.")
    elif clips and not episodes and any(use["episodes"] for use in result["runs"]):
        lines.append("Remove them: `podcaster runs clean RUN --all`, `podcaster feed remove RUN`.")
    lines += [f"{run}: {error}" for run, error in result["failures"].items()]
    return "\n".join(lines)
