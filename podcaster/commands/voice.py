"""`podcaster voice`: the voices there are, and how they sound."""

from pathlib import Path
from typing import Annotated

import typer

from podcaster.commands.telling import PLAIN, Home, Json, emit, resolve_home, told

voice_app = typer.Typer(help="The voices that can speak.", **PLAIN)


@voice_app.command("list")
@told
def list_voices(json_output: Json = False, home: Home = None) -> None:
    """List the voices: engine, pace, consent, and what they are like."""
    from podcaster.speak.voices import find_voices
    from podcaster.terminal import format_table

    voices = find_voices(resolve_home(home))
    rows = [
        {
            "name": voice.name,
            "engine": voice.engine,
            "words_per_minute": voice.words_per_minute,
            "consent": voice.consent.kind if voice.consent else None,
            "consent_needed": bool(voice.references),
            "licence": voice.licence,
            "description": voice.description,
        }
        for voice in voices.values()
    ]
    table = format_table(
        ("VOICE", "ENGINE", "WPM", "CONSENT", "DESCRIPTION"),
        [
            (
                str(row["name"]),
                str(row["engine"]),
                f"{row['words_per_minute']:.0f}",
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
        Path | None, typer.Option("--output", "-o", help="WAV file. [default: VOICE.wav]")
    ] = None,
    language: Annotated[str, typer.Option(help="Of the text.")] = "en",
    seed: Annotated[int, typer.Option(min=0, help="Another seed, another take.")] = 0,
    json_output: Json = False,
    home: Home = None,
) -> None:
    """Speak a text with a voice into a WAV file."""
    from podcaster.speaking import say_text

    path = output or Path.cwd() / f"{name}.wav"
    spoken = say_text(resolve_home(home), name, text, path, language=language, seed=seed)
    result = {
        "audio": str(path),
        "duration_s": spoken.duration_s,
        "sample_rate_hz": spoken.sample_rate_hz,
        "quality": spoken.quality,
    }
    emit(result, as_json=json_output, text=f"{path}  {spoken.duration_s:.1f} s")
