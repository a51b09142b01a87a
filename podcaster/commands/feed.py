"""`podcaster feed`: the private feed, its episodes, its listeners, its server."""

from pathlib import Path
from typing import Annotated

import typer

from podcaster.commands.telling import PLAIN, Home, Json, emit, resolve_home, told

feed_app = typer.Typer(help="A private feed for podcast apps.", **PLAIN)
listener_app = typer.Typer(help="Who may listen: a secret address each.", **PLAIN)
feed_app.add_typer(listener_app, name="listener")

Run = Annotated[str, typer.Argument(metavar="RUN", help="A run's name, its beginning, `latest`.")]
ListenerName = Annotated[str, typer.Argument(metavar="NAME", help="The listener's name.")]


@feed_app.command("init")
@told
def init(
    title: Annotated[str, typer.Option(help="Name of the podcast.")],
    url: Annotated[str, typer.Option(help="Where listeners' apps will reach it: http(s)://…")],
    description: Annotated[str, typer.Option(help="What it is.")] = "",
    author: Annotated[str, typer.Option(help="Who makes it.")] = "",
    owner_email: Annotated[str, typer.Option(help="Whom directories may write to.")] = "",
    language: Annotated[str, typer.Option(help="ISO 639 code.")] = "en",
    category: Annotated[
        str, typer.Option(help="Apple's exact text, a subcategory after `>`.")
    ] = "Society & Culture",
    explicit: Annotated[bool, typer.Option("--explicit", help="Marked as explicit.")] = False,
    image: Annotated[
        Path | None, typer.Option(help="Square picture; without one, a cover is drawn.")
    ] = None,
    json_output: Json = False,
    home: Home = None,
) -> None:
    """Make the feed of this workspace."""
    from podcaster.publish.feed import init_feed

    feed = init_feed(
        resolve_home(home),
        title=title,
        url=url,
        description=description,
        author=author,
        owner_email=owner_email,
        language=language,
        category=category,
        explicit=explicit,
        image=image,
    )
    text = f"{feed.title}: add a listener with `podcaster feed listener add NAME`"
    emit({"title": feed.title, "url": feed.url, "guid": feed.guid}, as_json=json_output, text=text)


@feed_app.command("add")
@told
def add(run: Run, json_output: Json = False, home: Home = None) -> None:
    """Add a finished run's episode to the feed, or bring it up to date there."""
    from podcaster.publish.episodes import add_episode
    from podcaster.run import open_run

    place = resolve_home(home)
    item = add_episode(place, open_run(place, run, "episode").path)
    emit(
        {"guid": item.episode.guid, "title": item.episode.title, "number": item.number},
        as_json=json_output,
        text=f"{item.episode.title}: episode {item.number} of the feed",
    )


@feed_app.command("remove")
@told
def remove(run: Run, json_output: Json = False, home: Home = None) -> None:
    """Take an episode, named by its run or its guid, out of the feed; the run stays."""
    from podcaster.publish.episodes import remove_episode

    item = remove_episode(resolve_home(home), run)
    emit({"guid": item.episode.guid}, as_json=json_output, text=f"{item.episode.title}: removed")


@feed_app.command("list")
@told
def list_episodes(json_output: Json = False, home: Home = None) -> None:
    """List the feed's episodes, newest first."""
    import msgspec

    from podcaster.publish.feed import read_feed
    from podcaster.terminal import format_table
    from podcaster.units import format_duration

    feed, items = read_feed(resolve_home(home))
    table = format_table(
        ("NO", "PUBLISHED", "LENGTH", "RUN", "TITLE"),
        [
            (
                str(item.number),
                item.episode.published_at[:10],
                format_duration(item.episode.duration_s),
                item.episode.run,
                item.episode.title,
            )
            for item in items
        ],
    )
    rows = [{"number": item.number, **msgspec.to_builtins(item.episode)} for item in items]
    emit({"title": feed.title, "episodes": rows}, as_json=json_output, text=table)


@listener_app.command("add")
@told
def listener_add(name: ListenerName, json_output: Json = False, home: Home = None) -> None:
    """Add a listener and show the feed's address for their app: once, it is not kept."""
    from podcaster.publish.feed import base_url, read_feed
    from podcaster.publish.listeners import add_listener

    place = resolve_home(home)
    feed, _ = read_feed(place)
    listener, token = add_listener(place, name)
    url = f"{base_url(feed)}/{token}/feed.xml"
    emit(
        {"listener": listener.name, "url": url},
        as_json=json_output,
        text=f"{url}\n\nShown once. Whoever has this address can listen as {listener.name}.",
    )


@listener_app.command("list")
@told
def listener_list(json_output: Json = False, home: Home = None) -> None:
    """List who may listen."""
    from podcaster.publish.listeners import list_listeners

    rows = [
        {"listener": each.name, "created_at": each.created_at}
        for each in list_listeners(resolve_home(home))
    ]
    text = "\n".join(f"{row['listener']}  since {row['created_at']}" for row in rows)
    emit({"listeners": rows}, as_json=json_output, text=text or "Nobody may listen yet.")


@listener_app.command("revoke")
@told
def listener_revoke(name: ListenerName, json_output: Json = False, home: Home = None) -> None:
    """Close one listener's feed and files at once; the others notice nothing."""
    from podcaster.publish.listeners import revoke_listener

    listener = revoke_listener(resolve_home(home), name)
    emit({"listener": listener.name}, as_json=json_output, text=f"{listener.name}: revoked")


@feed_app.command("serve")
@told
def serve_feed(
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[
        int | None,
        typer.Option(
            min=0, max=65535, help="Port; 0: any free one. [default: the feed's, or 8080]"
        ),
    ] = None,
    home: Home = None,
) -> None:
    """Serve the feed until Ctrl-C."""
    from podcaster.publish.server import serve
    from podcaster.terminal import TerminalProgress

    serve(resolve_home(home), host=host, port=port, progress=TerminalProgress())


@feed_app.command("export")
@told
def export(
    destination: Annotated[str, typer.Argument(metavar="DEST", help="A folder or a bucket's URL.")],
    url: Annotated[
        str, typer.Option(help="Where the tree will be served. [default: the feed's address]")
    ] = "",
    json_output: Json = False,
    home: Home = None,
) -> None:
    """Write the feed as a static tree for any host, an unguessable folder a listener."""
    import msgspec

    from podcaster.publish.export import export_feed
    from podcaster.terminal import TerminalProgress

    with TerminalProgress() as progress:
        report = export_feed(resolve_home(home), destination, url=url, progress=progress)
    text = "\n".join(f"{each.name}  {each.url}" for each in report.listeners)
    text += f"\n{report.written} files written, {report.kept} kept, {report.removed} removed"
    emit(msgspec.to_builtins(report), as_json=json_output, text=text.strip())


@feed_app.command("check")
@told
def check(json_output: Json = False, home: Home = None) -> None:
    """Check the feed against what directories and apps require."""
    import dataclasses

    from podcaster.publish.lint import check_feed

    findings = check_feed(resolve_home(home))
    emit(
        {"findings": [dataclasses.asdict(finding) for finding in findings]},
        as_json=json_output,
        text="\n".join(map(str, findings)) or "The feed has everything that apps require.",
    )
    if any(finding.severity == "must" for finding in findings):
        raise typer.Exit(3)
