"""The command line: parse, call, print. The only place that prints or exits.

Nothing heavy is imported before a command needs it, so that `--help` is instant.
"""

import functools
import json
import os
import sys
from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, ParamSpec

import typer

from podcaster import __version__
from podcaster.errors import PodcasterError

P = ParamSpec("P")

INTERRUPTED = 130  # what a shell reports for a program stopped by Ctrl-C

# rich markup would import rich for --help, which costs more than everything else together
plain: dict[str, Any] = {
    "rich_markup_mode": None,
    "pretty_exceptions_enable": False,
    "no_args_is_help": True,
}
app = typer.Typer(
    help="Turn a podcast that exists into one that does not.", add_completion=True, **plain
)
runs_app = typer.Typer(help="The runs of this workspace.", **plain)
app.add_typer(runs_app, name="runs")


class Quality(StrEnum):
    """Tiers of models."""

    draft = "draft"
    standard = "standard"
    studio = "studio"


class Until(StrEnum):
    """Stages after which an episode may stop."""

    write = "write"
    speak = "speak"
    mix = "mix"


Home = Annotated[
    Path | None,
    typer.Option("--home", envvar="PODCASTER_HOME", help="The workspace. [default: this folder]"),
]
Json = Annotated[bool, typer.Option("--json", help="End stdout with one JSON object.")]
Voices = Annotated[
    list[str] | None,
    typer.Option("--voice", metavar="ROLE=VOICE", help="Who speaks with which voice."),
]
RunName = Annotated[
    str, typer.Argument(metavar="RUN", help="A run's name, its beginning, or `latest`.")
]
UntilOption = Annotated[Until | None, typer.Option("--until", help="Stop after this stage.")]
Publish = Annotated[bool, typer.Option("--publish", help="Add the episode to the feed.")]


def told(command: Callable[P, None]) -> Callable[P, None]:
    """Wrap a command so that every failure is a sentence on stderr and the right exit code."""

    @functools.wraps(command)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            command(*args, **kwargs)
        except PodcasterError as error:
            typer.echo(f"error: {error}", err=True)
            if kwargs.get("json_output"):
                typer.echo(json.dumps({"error": str(error), "exit_code": error.exit_code}))
            raise typer.Exit(error.exit_code) from error
        except KeyboardInterrupt as interrupt:
            typer.echo(
                "stopped: what was finished is kept; "
                "`podcaster resume latest` goes on where an episode was.",
                err=True,
            )
            raise typer.Exit(INTERRUPTED) from interrupt

    return wrapped


def emit(result: dict[str, Any], *, as_json: bool, text: str) -> None:
    """Print a command's result on stdout: one JSON line for scripts, or text for people."""
    typer.echo(json.dumps(result, ensure_ascii=False) if as_json else text)


def resolve_home(home: Path | None) -> Path:
    """The workspace: what was asked for, or the folder that we stand in."""
    from podcaster.run import check_workspace

    place = (home or Path.cwd()).expanduser().resolve()
    check_workspace(place)
    return place


@app.callback(invoke_without_command=True)
def root(
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
    home: Annotated[
        Path | None, typer.Option("--home", help="The workspace, for any command.")
    ] = None,
) -> None:
    """Turn a podcast that exists into one that does not."""
    if home is not None:
        os.environ["PODCASTER_HOME"] = str(home)
    if version:
        typer.echo(f"podcaster {__version__}")
        raise typer.Exit


@app.command()
@told
def episode(
    guest: Annotated[str | None, typer.Option(help="Who is interviewed.")] = None,
    host: Annotated[str | None, typer.Option(help="Who asks. [default: Robin Hale]")] = None,
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
    quality: Annotated[
        Quality | None, typer.Option(help="Tier of models. [default: draft]")
    ] = None,
    until: UntilOption = None,
    stems: Annotated[bool, typer.Option("--stems", help="Also one WAV per speaker.")] = False,
    publish: Publish = False,
    json_output: Json = False,
    home: Home = None,
) -> None:
    """Write, speak, mix and tag a new episode."""
    from podcaster import episode as episodes

    flags = {
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
    }
    given = {key: value for key, value in flags.items() if value is not None}
    run, settings = episodes.start_episode(resolve_home(home), given)
    typer.echo(f"run {run.name}", err=True)
    _make(resolve_home(home), run, settings, until, publish=publish, as_json=json_output)


@app.command()
@told
def resume(
    run: RunName,
    voice: Voices = None,
    until: UntilOption = None,
    publish: Publish = False,
    json_output: Json = False,
    home: Home = None,
) -> None:
    """Redo just what changed: an edited script or config, a new voice, a killed run."""
    from podcaster import episode as episodes

    place = resolve_home(home)
    opened, settings = episodes.reopen_episode(place, run, voices=parse_voices(voice) or {})
    _make(place, opened, settings, until, publish=publish, as_json=json_output)


def _make(
    home: Path, run: Any, settings: Any, until: Until | None, *, publish: bool, as_json: bool
) -> None:
    from podcaster import episode as episodes
    from podcaster.terminal import TerminalProgress

    stage = until.value if until else "publish"
    with TerminalProgress() as progress:
        result = episodes.make_episode(
            home, run, settings, until=stage, publish=publish, progress=progress
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
                next_step="Type for example `--voice guest=oskar`; "
                "`podcaster voice list` names the voices.",
            )
        voices[role.strip()] = name.strip()
    return voices or None


@runs_app.command("list")
@told
def runs_list(json_output: Json = False, home: Home = None) -> None:
    """List the runs, oldest first."""
    from podcaster import inspection
    from podcaster.terminal import format_table

    rows = inspection.list_run_rows(resolve_home(home))
    text = format_table(
        ("RUN", "DONE", "LENGTH", "TITLE"),
        [(row["run"], row["done"], row["length"], row["title"]) for row in rows],
    )
    emit({"runs": rows}, as_json=json_output, text=text if rows else "There are no runs yet.")


@runs_app.command("show")
@told
def runs_show(run: RunName, json_output: Json = False, home: Home = None) -> None:
    """Show a run's stages, counts and files."""
    from podcaster import inspection

    shown = inspection.show_run(resolve_home(home), run)
    emit(shown, as_json=json_output, text=inspection.format_shown(shown))


@runs_app.command("why")
@told
def runs_why(run: RunName, json_output: Json = False, home: Home = None) -> None:
    """Say what `resume` would redo, and because of which field."""
    from podcaster import inspection
    from podcaster.terminal import format_table

    rows = inspection.explain(resolve_home(home), run)
    text = format_table(
        ("STAGE", "REDO", "WHY"),
        [(row["stage"], "yes" if row["redo"] else "no", row["reason"]) for row in rows],
    )
    emit({"run": run, "stages": rows}, as_json=json_output, text=text)


@runs_app.command("clean")
@told
def runs_clean(
    run: RunName,
    everything: Annotated[
        bool, typer.Option("--all", help="Remove the whole run, the episode included.")
    ] = False,
    json_output: Json = False,
    home: Home = None,
) -> None:
    """Remove a finished run's clips, which can be made again; with --all, the whole run."""
    from podcaster import inspection
    from podcaster.units import format_bytes

    name, freed_bytes = inspection.clean_run(resolve_home(home), run, everything=everything)
    emit(
        {"run": name, "freed_bytes": freed_bytes},
        as_json=json_output,
        text=f"{name}: {format_bytes(freed_bytes)} freed",
    )


@app.command()
@told
def setup(
    tier: Annotated[
        str | None, typer.Argument(metavar="[TIER|MODEL]", help="What to download.")
    ] = None,
    json_output: Json = False,
    home: Home = None,
) -> None:
    """List the models of each tier and what this machine can run; download the one named."""
    from podcaster import machine

    result, text = machine.list_models(resolve_home(home))
    if tier is not None:
        from podcaster.terminal import TerminalProgress

        with TerminalProgress() as progress:
            result, text = machine.download_models(resolve_home(home), tier, progress)
    emit(result, as_json=json_output, text=text)


@app.command()
@told
def doctor(json_output: Json = False, home: Home = None) -> None:
    """Say what works here, and what to type for the rest."""
    from podcaster import machine

    result, text = machine.examine_machine(resolve_home(home))
    emit(result, as_json=json_output, text=text)
    if not result["works"]:
        raise typer.Exit(4)


@app.command()
@told
def config(json_output: Json = False, home: Home = None) -> None:
    """List every setting with its value, its origin and its meaning."""
    from podcaster import inspection

    result, text = inspection.list_configuration(resolve_home(home))
    emit(result, as_json=json_output, text=text)


def _add_groups() -> None:
    from podcaster.cli_feed import feed_app
    from podcaster.cli_voice import voice_app

    app.add_typer(feed_app, name="feed")
    app.add_typer(voice_app, name="voice")


def main() -> None:
    """Run the command line."""
    # names of guests are in any script, whatever the terminal's encoding says
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="backslashreplace")
    app()
