"""`podcaster show`: a podcast that exists, from its recordings to a model that talks like it."""

from typing import Annotated

import typer

from podcaster.commands.telling import PLAIN, Home, Json, emit, resolve_home, told

show_app = typer.Typer(help="A podcast that exists: its recordings and transcripts.", **PLAIN)

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
    language: Annotated[str | None, typer.Option(help="Spoken in the show. [default: en]")] = None,
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
