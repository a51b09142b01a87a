"""`podcaster episode` and `podcaster resume`."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from podcaster.commands.telling import Home, Json, RunName, emit, resolve_home, told


class Quality(StrEnum):
    """Tiers of models; a sketch is a draft whose voices eSpeak NG imitates."""

    sketch = "sketch"
    draft = "draft"
    standard = "standard"
    studio = "studio"


class Until(StrEnum):
    """Stages after which an episode may stop."""

    write = "write"
    speak = "speak"
    mix = "mix"


Voices = Annotated[
    list[str] | None,
    typer.Option("--voice", metavar="ROLE=VOICE", help="Who speaks with which voice."),
]
QualityOption = Annotated[
    Quality | None,
    typer.Option(
        "--quality", help="Tier of models; sketch: spoken in seconds, for a first hearing."
    ),
]
UntilOption = Annotated[Until | None, typer.Option("--until", help="Stop after this stage.")]
Preview = Annotated[
    bool, typer.Option("--preview", help="Hear it in a browser while it is being spoken.")
]
Cluster = Annotated[
    str | None, typer.Option("--cluster", metavar="ADDRESS", help="Speak on this Ray cluster.")
]
Publish = Annotated[bool, typer.Option("--publish", help="Add the episode to the feed.")]


@told
def episode(
    guest: Annotated[str | None, typer.Option(help="Who is interviewed.")] = None,
    show: Annotated[
        str | None, typer.Option(help="A show of yours: its model, its host, their pace.")
    ] = None,
    host: Annotated[
        str | None, typer.Option(help="Who asks. [default: the show's host, or Robin Hale]")
    ] = None,
    topic: Annotated[list[str] | None, typer.Option(help="What to talk about; repeatable.")] = None,
    minutes: Annotated[float | None, typer.Option(help="Length, 1 to 240. [default: 5]")] = None,
    notes: Annotated[
        list[str] | None,
        typer.Option(help="Text, markdown, PDF or URL that grounds the guest; repeatable."),
    ] = None,
    script: Annotated[
        str | None, typer.Option(help="Speak this script of your own instead of writing one.")
    ] = None,
    steer: Annotated[
        str | None, typer.Option(help="Free text: tone, angle, what to avoid.")
    ] = None,
    language: Annotated[str | None, typer.Option(help="Of the conversation. [default: en]")] = None,
    model: Annotated[
        str | None, typer.Option(help="`builtin`, a GGUF file, or a model of `setup`.")
    ] = None,
    voice: Voices = None,
    seed: Annotated[
        int | None, typer.Option(help="Same seed, same episode. [default: any]")
    ] = None,
    quality: QualityOption = None,
    until: UntilOption = None,
    stems: Annotated[bool, typer.Option("--stems", help="Also one WAV per speaker.")] = False,
    preview: Preview = False,
    cluster: Cluster = None,
    publish: Publish = False,
    json_output: Json = False,
    home: Home = None,
) -> None:
    """Write, speak, mix and tag a new episode."""
    from podcaster import episode as episodes
    from podcaster.terminal import TerminalProgress

    flags = {
        "show": show,
        "write.guest": guest,
        "write.host": host,
        "write.topics": topic or None,
        "write.minutes": minutes,
        "write.notes": notes or None,
        "write.script": script,
        "write.steer": steer,
        "write.language": language,
        "write.model": model,
        "speak.voices": parse_voices(voice),
        "seed": seed,
        "quality": quality.value if quality else None,
        "mix.stems": stems or None,
        "cluster.address": cluster,
    }
    given = {key: value for key, value in flags.items() if value is not None}
    run, settings = episodes.start_episode(
        resolve_home(home), given, publish=publish, progress=TerminalProgress()
    )
    typer.echo(f"run {run.name}", err=True)
    _make(resolve_home(home), run, settings, until, preview, publish=publish, as_json=json_output)


@told
def resume(
    run: RunName,
    voice: Voices = None,
    quality: QualityOption = None,
    until: UntilOption = None,
    preview: Preview = False,
    cluster: Cluster = None,
    publish: Publish = False,
    json_output: Json = False,
    home: Home = None,
) -> None:
    """Redo just what changed: an edited script or config, a new voice, a killed run."""
    from podcaster import episode as episodes

    place = resolve_home(home)
    opened, settings = episodes.reopen_episode(
        place,
        run,
        voices=parse_voices(voice) or {},
        quality=quality.value if quality else None,
        cluster=cluster,
    )
    _make(place, opened, settings, until, preview, publish=publish, as_json=json_output)


def _make(
    home: Path,
    run: Any,
    settings: Any,
    until: Until | None,
    preview: bool,
    *,
    publish: bool,
    as_json: bool,
) -> None:
    from podcaster import episode as episodes
    from podcaster.terminal import TerminalProgress

    stage = until.value if until else "publish"
    with TerminalProgress() as progress:
        result = episodes.make_episode(
            home,
            run,
            settings,
            until=stage,
            publish=publish,
            progress=progress,
            preview=preview,
        )
    emit(result, as_json=as_json, text=episodes.format_result(result))


def parse_voices(pairs: list[str] | None) -> dict[str, str] | None:
    """Read `ROLE=VOICE` pairs; None where there are none."""
    from podcaster.errors import ConfigError

    voices: dict[str, str] = {}
    for pair in pairs or []:
        role, equals, name = pair.partition("=")
        if not (role.strip() and equals and name.strip()):
            raise ConfigError(
                f"--voice takes ROLE=VOICE, got {pair!r}.",
                next_step="Type for example `--voice guest=hugo`; "
                "`podcaster voice list` names the voices.",
            )
        voices[role.strip()] = name.strip()
    return voices or None
