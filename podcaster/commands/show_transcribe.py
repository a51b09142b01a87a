"""`podcaster show transcribe`: the words of a show, or of one recording."""

from pathlib import Path
from typing import Annotated, Any

import typer

from podcaster.commands.telling import Home, Json, emit, resolve_home, told

CaptionFormats = Annotated[
    list[str] | None,
    typer.Option("--to", help="Captions to write beside the words: srt, vtt, txt, tsv, json."),
]
Cluster = Annotated[
    str | None, typer.Option(help="A Ray cluster to join: host:port, auto; or local.")
]


@told
def transcribe(
    name: Annotated[str, typer.Argument(metavar="NAME", help="A show; or one recording's file.")],
    to: CaptionFormats = None,
    out: Annotated[Path | None, typer.Option(help="Where captions go. [default: beside]")] = None,
    model: Annotated[str | None, typer.Option(help="A Whisper model or its folder.")] = None,
    diarise: Annotated[
        str | None, typer.Option(help="What tells voices apart: auto, builtin, pyannote, none.")
    ] = None,
    align: Annotated[str | None, typer.Option(help="What times words: whisperx, none.")] = None,
    speakers: Annotated[
        str, typer.Option(help="How many voices there are: 2, or from-to as in 2-4.")
    ] = "",
    language: Annotated[str | None, typer.Option(help="Of one file; else it is found out.")] = None,
    workers: Annotated[int | None, typer.Option(help="Recordings at once. [default: one]")] = None,
    cluster: Cluster = None,
    json_output: Json = False,
    home: Home = None,
) -> None:
    """Listen to what is new in a show: words, when they were said, and by which voice.

    Of one file the lines are printed, each with its voice, and nothing else is kept.
    """
    from podcaster.config import load_configuration
    from podcaster.errors import ConfigError, InputError
    from podcaster.model import slugify

    place = resolve_home(home)
    given = {
        "transcribe.model": model,
        "transcribe.diarise": diarise,
        "transcribe.align": align,
        "transcribe.workers": workers,
        "cluster.address": cluster,
        **_parse_speakers(speakers),
    }
    flags = {key: value for key, value in given.items() if value is not None}
    settings = load_configuration(place, flags).settings
    formats = _check_formats(to or [])
    file = Path(name).expanduser()
    if file.is_file() and not (place / "runs" / name).is_dir():
        _transcribe_file(file, settings, formats, out, language, as_json=json_output)
        return
    if language is not None:
        raise ConfigError(
            "--language is for one recording's file; a show has its own.",
            next_step=f"Type `podcaster show add {name} SOURCE --language {language}`.",
        )
    if file.suffix or "/" in name:
        slug = slugify(name, fallback="show")
        if not (place / "runs" / slug).is_dir():
            raise InputError(f"There is no recording {file} and no show {slug!r}.")
    _transcribe_show(place, name, settings, formats, out, as_json=json_output)


def _transcribe_show(
    home: Path, name: str, settings: Any, formats: list[str], out: Path | None, *, as_json: bool
) -> None:
    from podcaster import __version__, recordings, transcribing
    from podcaster.run import open_show_run
    from podcaster.terminal import TerminalProgress
    from podcaster.workers import open_workers

    with (
        TerminalProgress() as progress,
        open_workers(settings.cluster, settings.transcribe.workers, progress) as workers,
    ):
        tally = transcribing.transcribe_show(home, name, settings, progress, workers.mapper)
    tally.workers = workers.count
    run = open_show_run(home, name, version=__version__)
    result = recordings.describe_tally(run.name, tally) | transcribing.describe_words(run)
    written = transcribing.export_captions(run, formats, out)
    result["captions"] = [str(path) for path in written]
    emit(result, as_json=as_json, text=_format_result(result, tally))
    if tally.exit_code:
        raise typer.Exit(tally.exit_code)


def _format_result(result: dict[str, Any], tally: Any) -> str:
    from podcaster.terminal import format_table
    from podcaster.units import format_duration

    sound = f", {format_duration(tally.audio_s)} of sound" if tally.audio_s else ""
    lines = [f"{tally.done} transcribed, {tally.reused} there before{sound}"]
    lines += format_lacks(result)
    lines += [f"{path}" for path in result["captions"]]
    if tally.failures:
        rows = [(failure.item, str(failure.error)) for failure in tally.failures]
        lines.append(format_table(("FAILED", "WHY"), rows))
    return "\n".join(lines)


def format_lacks(result: dict[str, Any]) -> list[str]:
    """Lines about what was mended in a show's words, and what they lack."""
    lines = []
    if result["moved"]:
        lines.append(f"{result['moved']} times cut-off words went back to whoever was speaking")
    if result["without_speakers"]:
        lines.append(f"{len(result['without_speakers'])} without speakers: nobody told them apart")
    if result["without_words"]:
        lines.append(f"{len(result['without_words'])} without words: no speech was found")
    return lines


def _transcribe_file(
    file: Path,
    settings: Any,
    formats: list[str],
    out: Path | None,
    language: str | None,
    *,
    as_json: bool,
) -> None:
    from podcaster import listening, transcribing
    from podcaster.terminal import TerminalProgress

    # without voices there is nothing to wait for: lines are printed as they come
    at_once = settings.transcribe.diarise == "none" and not as_json
    with TerminalProgress(quiet=at_once) as progress:
        heard = listening.transcribe_file(
            file,
            settings.transcribe,
            progress,
            language=language,
            on_utterance=_say if at_once else None,
        )
    transcript = heard.transcript
    if not at_once and not as_json:
        for utterance in transcript.utterances:
            _say(utterance)
    written = []
    for suffix in formats:
        target = (out or file.parent) / f"{file.stem}.{suffix}"
        transcribing.write_captions(transcript, target)
        written.append(str(target))
    voices = sorted({u.speaker for u in transcript.utterances if u.speaker})
    result = {
        "recordings": 1,
        "done": 1,
        "reused": 0,
        "failed": 0,
        "language": transcript.language,
        "audio_s": transcript.duration_s,
        "utterances": len(transcript.utterances),
        "speakers": voices,
        "moved": len(heard.moves),
        "captions": written,
    }
    summary = f"{len(transcript.utterances)} utterances in {transcript.language}"
    if voices:
        summary += f", {len(voices)} voices"
    emit(result, as_json=as_json, text="\n".join([summary, *written]))


def _say(utterance: Any) -> None:
    """Print an utterance as Whisper programs do: the times, then who says it, then the text."""
    voice = f"{utterance.speaker}: " if utterance.speaker else ""
    times = f"[{utterance.start_s or 0.0:.2f}s -> {utterance.end_s or 0.0:.2f}s]"
    typer.echo(f"{times}  {voice}{utterance.text}")


def _parse_speakers(given: str) -> dict[str, int]:
    """`2` or `2-4` as bounds. Raises ConfigError."""
    from podcaster.errors import ConfigError

    if not given:
        return {}
    fewest, dash, most = given.partition("-")
    numbers = [part.strip() for part in ((fewest, most) if dash else (fewest, fewest))]
    if not all(number.isascii() and number.isdigit() and int(number) for number in numbers):
        raise ConfigError(
            f"--speakers {given!r} is no number of voices.", next_step="Type 2, or 2-4."
        )
    low, high = (int(number) for number in numbers)
    if low > high:
        raise ConfigError(f"--speakers {given!r} goes from more to fewer.", next_step="Turn it.")
    return {"transcribe.fewest_speakers": low, "transcribe.most_speakers": high}


def _check_formats(given: list[str]) -> list[str]:
    """The suffixes asked for, without points. Raises ConfigError for one that is not written."""
    from podcaster.errors import ConfigError

    known = ("srt", "vtt", "txt", "tsv", "json")
    formats = [one.lower().lstrip(".") for one in given]
    for one in formats:
        if one not in known:
            raise ConfigError(f"--to {one!r} is none of {', '.join(known)}.")
    return formats
