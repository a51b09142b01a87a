"""`podcaster show`: a podcast that exists, from its recordings to a model that talks like it."""

from typing import Annotated, Any

import typer

from podcaster.commands.show_ask import ask
from podcaster.commands.show_compare import compare
from podcaster.commands.show_dataset import dataset, stats
from podcaster.commands.show_export import export
from podcaster.commands.show_speakers import speakers
from podcaster.commands.show_train import train
from podcaster.commands.show_transcribe import format_lacks, transcribe
from podcaster.commands.telling import PLAIN, Home, Json, emit, resolve_home, told

show_app = typer.Typer(
    help="A podcast that exists: its recordings, its words, who says them, and a dataset.", **PLAIN
)

ShowName = Annotated[str, typer.Argument(metavar="NAME", help="The show's name.")]


@show_app.command("add")
@told
def add(
    name: ShowName,
    source: Annotated[
        list[str],
        typer.Argument(
            help="A feed's address; recordings, finished transcripts, folders or tar archives."
        ),
    ],
    last: Annotated[int | None, typer.Option(min=1, help="Of a feed, the newest so many.")] = None,
    since: Annotated[str, typer.Option(help="Of a feed, from this day on: 2026-01-31.")] = "",
    match: Annotated[
        str, typer.Option(help="Of a feed, with these words, or /pattern/, in title or persons.")
    ] = "",
    transcript_format: Annotated[
        str, typer.Option("--format", help="Of transcripts, if it is not to be told from them.")
    ] = "",
    language: Annotated[
        str | None, typer.Option(help="Spoken in the show: en, de. [default: what its feed says]")
    ] = None,
    json_output: Json = False,
    home: Home = None,
) -> None:
    """Say what a show is made from; a new name makes a new show."""
    from podcaster import show
    from podcaster.ingest.sources import describe_source

    sources = [
        describe_source(
            given, last=last, since=since, match=match, transcript_format=transcript_format
        )
        for given in source
    ]
    run = show.add_sources(resolve_home(home), name, sources, language=language)
    known = show.read_sources(run).sources
    rows = [{"kind": one.kind, "location": one.location} for one in known]
    text = "\n".join(f"{row['kind']:8}{row['location']}" for row in rows)
    emit({"show": run.name, "sources": rows}, as_json=json_output, text=text)


@show_app.command("ingest")
@told
def ingest(
    name: ShowName,
    private: Annotated[
        bool, typer.Option("--private", help="Fetch from inside this machine's network, too.")
    ] = False,
    json_output: Json = False,
    home: Home = None,
) -> None:
    """Take in what is new in a show's sources: fetch and check recordings, read transcripts."""
    from podcaster import recordings, show
    from podcaster.terminal import TerminalProgress, format_table

    place = resolve_home(home)
    with TerminalProgress() as progress:
        tally = show.ingest_show(place, name, progress, allow_private=private)
    result = recordings.describe_tally(name, tally)
    lines = [f"{tally.done} taken in, {tally.reused} there before"]
    if tally.twins:
        lines.append(f"{len(tally.twins)} left out: the same recording as another")
    if tally.failures:
        rows = [(failure.item, str(failure.error)) for failure in tally.failures]
        lines.append(format_table(("FAILED", "WHY"), rows))
    emit(result, as_json=json_output, text="\n".join(lines))
    if tally.exit_code:
        raise typer.Exit(tally.exit_code)


show_app.command("transcribe")(transcribe)
show_app.command("speakers")(speakers)
show_app.command("dataset")(dataset)
show_app.command("stats")(stats)
show_app.command("train")(train)
show_app.command("export")(export)
show_app.command("ask")(ask)
show_app.command("compare")(compare)


@show_app.command("make")
@told
def make(
    name: ShowName,
    until: Annotated[
        str, typer.Option(help="The last stage: ingest, transcribe, speakers, dataset.")
    ] = "dataset",
    cluster: Annotated[
        str | None, typer.Option(help="A Ray cluster to join: host:port, auto; or local.")
    ] = None,
    workers: Annotated[int | None, typer.Option(help="Recordings at once. [default: one]")] = None,
    private: Annotated[
        bool, typer.Option("--private", help="Fetch from inside this machine's network, too.")
    ] = False,
    json_output: Json = False,
    home: Home = None,
) -> None:
    """Bring all of a show up to date: recordings, words, speakers, dataset."""
    from podcaster import making
    from podcaster.config import load_configuration
    from podcaster.errors import ConfigError
    from podcaster.recordings import SHOW_STAGES
    from podcaster.terminal import TerminalProgress

    if until not in SHOW_STAGES:
        raise ConfigError(f"--until {until!r} is none of {', '.join(SHOW_STAGES)}.")
    place = resolve_home(home)
    given = {"cluster.address": cluster, "transcribe.workers": workers}
    flags = {key: value for key, value in given.items() if value is not None}
    settings = load_configuration(place, flags).settings
    with TerminalProgress() as progress:
        made = making.make_show(place, name, settings, progress, until=until, allow_private=private)
    emit(making.describe_making(name, made), as_json=json_output, text=_format_making(made))
    if made.exit_code:
        raise typer.Exit(made.exit_code)


def _format_making(making: Any) -> str:
    from podcaster.terminal import format_table
    from podcaster.units import format_duration

    rows = []
    for stage, seconds in making.seconds.items():
        tally = making.tallies.get(stage)
        counts = (str(tally.done), str(tally.reused)) if tally else ("", "")
        rows.append((stage, *counts, format_duration(seconds)))
    text = format_table(("STAGE", "DONE", "THERE BEFORE", "TIME"), rows)
    if making.words:
        text = "\n".join([text, "", *format_lacks(making.words)]).rstrip()
    if making.failures:
        failed = [(one.item, str(one.error)) for one in making.failures]
        text += "\n\n" + format_table(("FAILED", "WHY"), failed)
    return text
