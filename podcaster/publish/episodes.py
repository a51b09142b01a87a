"""Episodes come into a feed, are replaced in it, and leave it."""

import shutil
from datetime import datetime
from pathlib import Path

from msgspec.structs import replace

from podcaster.errors import InputError, RunError
from podcaster.model import Episode, parse, to_json
from podcaster.publish.feed import (
    FEED_NAME,
    FILE_NAMES,
    ITEM_NAME,
    Feed,
    FeedFile,
    FeedItem,
    feed_folder,
    format_moment,
    hashed_name,
    item_folder,
    lock_feed,
    read_bounded,
    read_feed,
)
from podcaster.publish.notes import sanitise_html
from podcaster.publish.stage import DETAILS_NAME, EPISODE_NAME, NOTES_NAME, Details
from podcaster.run import atomic_path, sha256_file, write_atomic, writing


def add_episode(home: Path, run_folder: Path, *, now: datetime | None = None) -> FeedItem:
    """Copy a run's published episode into the feed, as published `now`.

    The same run added again replaces what is there: guid, number and date of publication stay,
    and only files that changed get a new address.

    Raises InputError where the run has no published episode or the workspace no feed, RunError
    where the episode's files are not the ones that were published.
    """
    moment = format_moment(now)
    read_feed(home)  # before anything else, that there is one
    published = run_folder / "publish"
    if not (published / EPISODE_NAME).is_file():
        raise InputError(
            f"The run {run_folder.name} has no published episode.",
            next_step=f"Finish it with `podcaster resume {run_folder.name}`.",
        )
    where = str(published / EPISODE_NAME)
    episode = parse(read_bounded(published / EPISODE_NAME), Episode, where=where)
    details = parse(read_bounded(published / DETAILS_NAME), Details, where=DETAILS_NAME)
    sources = _find_sources(run_folder, episode)
    with lock_feed(home):
        feed, items = read_feed(home)
        old = next((item for item in items if item.episode.guid == episode.guid), None)
        folder = item_folder(feed_folder(home), episode.guid)
        files = {
            kind: _store_file(folder, kind, source, old.files.get(kind) if old else None, moment)
            for kind, source in sources.items()
        }
        item = FeedItem(
            episode=replace(
                episode,
                published_at=old.episode.published_at if old else moment,
                show_notes_html=sanitise_html(episode.show_notes_html),
            ),
            author=details.author,
            number=details.number or (old.number if old else _next_number(items)),
            explicit=details.explicit,
            files=files,
        )
        write_atomic(folder / ITEM_NAME, to_json(item))
        guids = feed.episodes if old else (*feed.episodes, episode.guid)
        _commit(home, feed, guids, moment)
        _drop_strays(folder, {ITEM_NAME, *(file.name for file in files.values())})
    return item


def remove_episode(home: Path, reference: str, *, now: datetime | None = None) -> FeedItem:
    """Take an episode out of the feed, and delete the feed's copies.

    `reference` is its guid, its run's name or the beginning of one, or `latest`, as in `open_run`.

    Raises InputError where the feed does not have it, or has more than one such.
    """
    with lock_feed(home):
        feed, items = read_feed(home)
        item = _find_item(items, reference)
        guids = tuple(guid for guid in feed.episodes if guid != item.episode.guid)
        _commit(home, feed, guids, format_moment(now))
        folder = item_folder(feed_folder(home), item.episode.guid)
        with writing(folder):
            shutil.rmtree(folder)
    return item


def _find_item(items: list[FeedItem], reference: str) -> FeedItem:
    wanted = reference.rstrip("/").rsplit("/", 1)[-1]
    if wanted == "latest":
        matches = items[:1]
    else:
        matches = [i for i in items if wanted in (i.episode.guid, i.episode.run)] or [
            i for i in items if wanted and i.episode.run.startswith(wanted)
        ]
    if len(matches) == 1:
        return matches[0]
    if matches:
        runs = ", ".join(item.episode.run for item in matches[:4])
        raise InputError(
            f"{wanted[:80]!r} could be any of {len(matches)} episodes of the feed: {runs}.",
            next_step="Type more of the run's name.",
        )
    raise InputError(
        f"The feed has no episode of a run {wanted[:80]!r}.",
        next_step="List those that it has with `podcaster feed list`.",
    )


def _find_sources(run_folder: Path, episode: Episode) -> dict[str, Path]:
    """The episode's files by kind, each inside the run's folder, the audio as it was hashed."""
    names = {
        "audio": episode.audio,
        "cover": episode.cover,
        "vtt": episode.transcript_vtt,
        "srt": episode.transcript_srt,
        "json": episode.transcript_json,
        "chapters": episode.chapters,
        "notes": f"publish/{NOTES_NAME}",
    }
    inside = run_folder.resolve()
    sources = {}
    for kind, name in names.items():
        source = (run_folder / name).resolve()
        if not source.is_relative_to(inside):
            raise InputError(f"The episode's {kind} {name!r} lies outside its run's folder.")
        if not source.is_file():
            raise RunError(
                f"The file {name!r} of the run {run_folder.name} is missing.",
                next_step=f"Make it again with `podcaster resume {run_folder.name}`.",
            )
        sources[kind] = source
    if sha256_file(sources["audio"]) != episode.audio_sha256:
        raise RunError(
            f"{episode.audio} is not the file that was published by the run {run_folder.name}.",
            next_step=f"Publish it again with `podcaster resume {run_folder.name}`.",
        )
    return sources


def _store_file(
    folder: Path, kind: str, source: Path, old: FeedFile | None, moment: str
) -> FeedFile:
    digest = sha256_file(source)
    if old and old.sha256 == digest and (folder / old.name).is_file():
        return old
    name = hashed_name(FILE_NAMES[kind], digest)
    with atomic_path(folder / name) as temporary:
        shutil.copyfile(source, temporary)
    return FeedFile(name=name, bytes=(folder / name).stat().st_size, sha256=digest, added_at=moment)


def _commit(home: Path, feed: Feed, guids: tuple[str, ...], moment: str) -> None:
    changed = replace(feed, episodes=guids, updated_at=moment)
    write_atomic(feed_folder(home) / FEED_NAME, to_json(changed))


def _drop_strays(folder: Path, wanted: set[str]) -> None:
    for path in folder.iterdir():
        if path.name not in wanted:
            path.unlink(missing_ok=True)


def _next_number(items: list[FeedItem]) -> int:
    return max((item.number for item in items), default=0) + 1
