"""Speak a text with one voice, outside of any run."""

from contextlib import closing
from pathlib import Path

from msgspec.structs import replace

from podcaster.engines import open_engine
from podcaster.errors import InputError
from podcaster.model import Chapter, Clip, Script, Speaker, Turn
from podcaster.run import atomic_path, make_folder
from podcaster.speak.casting import cast_voices
from podcaster.speak.stage import plan_clips, render_clip
from podcaster.speak.voices import find_voices


def say_text(
    home: Path, voice_name: str, text: str, path: Path, *, language: str = "en", seed: int = 0
) -> Clip:
    """Speak `text` into the WAV file `path` as an episode would.

    Raises InputError for an empty text, VoiceError for an unknown voice, EngineError, RunError.
    """
    if not text.strip():
        raise InputError("There is nothing to say: the text is empty.")
    speaker = Speaker(id="speaker", name="Speaker", role="host", voice=voice_name)
    script = Script(
        title="A text",
        summary="",
        language=language,
        speakers=(speaker,),
        chapters=(Chapter(title="A text", turns=(Turn(speaker="speaker", text=text),)),),
        seed=seed,
        model="none",
    )
    casting = cast_voices((speaker,), find_voices(home), {}, language=language)
    make_folder(path.parent)
    with closing(open_engine("speak", casting["speaker"].engine)) as engine:
        job = plan_clips(script, casting, {casting["speaker"].engine: engine.id})[0]
        with atomic_path(path) as temporary:
            clip = render_clip(engine, replace(job, path=temporary.name), path.parent)
    return clip
