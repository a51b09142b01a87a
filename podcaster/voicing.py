"""Which engine speaks for a voice on this machine, and what it is opened with."""

from collections.abc import Mapping
from functools import cache
from hashlib import sha256
from importlib.util import find_spec
from typing import Any

from msgspec.structs import replace

from podcaster.engines import ENGINES, open_engine
from podcaster.errors import EngineMissing
from podcaster.mapping import EngineSpec
from podcaster.model import Voice
from podcaster.progress import Progress
from podcaster.setup.packaged import PACKAGED_MODELS, find_packaged
from podcaster.setup.voices import VOICE_MODELS, find_voice_model
from podcaster.speak.cloning import CLONE, LIKENESS, LIKENESS_SKETCH, LIKENESSES
from podcaster.speak.kokoro.phonemes import LANGUAGES
from podcaster.speak.kokoro.styles import parse_settings
from podcaster.speak.options import SpeakOptions
from podcaster.speak.sketching import sketch

XTTS, KOKORO = "coqui", "kokoro"
_XTTS_MODEL = "xtts-v2"
_XTTS_PACKAGE = "TTS"


def resolve_engine(
    voice: Voice, options: SpeakOptions, language: str, *, quickly: bool = False
) -> Voice:
    """The voice with the name of the engine that will speak: somebody's own gets one that is here.

    A likeness is sketched where that is to be had `quickly`, and where Kokoro cannot speak.

    Raises EngineMissing where `options` ask for an engine whose model or package is not here, or a
    voice for stock styles that are not.
    """
    if voice.engine == KOKORO and parse_settings(voice).voice:
        find_voice_model(KOKORO)
    if voice.engine == CLONE:
        voice = replace(voice, engine=choose_cloning_engine(options, language))
    if voice.engine == LIKENESS and (quickly or not _kokoro_speaks(language)):
        voice = replace(voice, engine=LIKENESS_SKETCH)
    if voice.engine in LIKENESSES:
        # its pace is imposed, so it decides the sound as the references do
        mixed = f"{voice.sha256} {voice.words_per_minute}"
        voice = replace(voice, sha256=sha256(mixed.encode()).hexdigest())
    return voice


def choose_cloning_engine(options: SpeakOptions, language: str = "") -> str:
    """XTTS where its package and model are here and it speaks `language`; else the built-in clone.

    Raises EngineMissing where `options` ask for XTTS and it is not here.
    """
    if options.clone == "xtts":
        find_voice_model(_XTTS_MODEL)
        return XTTS
    if options.clone == "likeness" or find_spec(_XTTS_PACKAGE) is None:
        return LIKENESS
    try:
        find_voice_model(_XTTS_MODEL)
    except EngineMissing:
        return LIKENESS
    from podcaster.speak.coqui.text import LANGUAGE_NAMES

    known = {name.partition("-")[0] for name in LANGUAGE_NAMES}
    return XTTS if not language or language.partition("-")[0].lower() in known else LIKENESS


def _kokoro_speaks(language: str) -> bool:
    """Whether Kokoro is here and speaks a language; none in particular counts as English."""
    tongue = (language or "en").lower().partition("-")[0]
    try:
        _find_model(KOKORO)
    except EngineMissing:
        return False
    return any(one.partition("-")[0] == tongue for one in LANGUAGES)


def stand_in(voice: Voice) -> Voice:
    """The voice, or its sketch where the model that it needs is not here, or not what was meant."""
    return sketch(voice) if voice.sketch and why_missing(voice) else voice


def why_missing(voice: Voice) -> EngineMissing | None:
    """Why the model of a voice of settings cannot be used; None where it can."""
    if voice.engine == KOKORO:
        try:
            _find_model(KOKORO)
        except EngineMissing as error:
            return error
    return None


def note_likeness(casting: Mapping[str, Voice], options: SpeakOptions, progress: Progress) -> None:
    """Say what the built-in clone is, where it speaks for want of something better."""
    names = sorted({voice.name for voice in casting.values() if voice.engine in LIKENESSES})
    if names and options.clone == "auto":
        progress.note(
            f"{', '.join(names)}: a likeness, not a clone. For clones: "
            f"`pip install 'podcaster[tts]'`, then `podcaster setup {_XTTS_MODEL}`."
        )


def speech_spec(engine: str, options: SpeakOptions) -> EngineSpec:
    """How to open a speech engine: one with a model gets what `podcaster setup` has fetched of it,
    else what was packaged.

    Raises EngineMissing where its model is not on this machine, or is another than was meant.
    """
    settings: dict[str, Any] = {}
    speaks = KOKORO if engine == LIKENESS else engine
    model = next((one for one in VOICE_MODELS if one.engine == speaks), None)
    if model is not None:
        settings = {**_find_model(model.name), "device": options.device}
    return EngineSpec("speak", engine, settings)


def _find_model(name: str) -> dict[str, Any]:
    try:
        return {"model": str(find_voice_model(name))}
    except EngineMissing:
        if all(name != one.name for one in PACKAGED_MODELS):
            raise
    packaged = find_packaged(name)
    return {"model": tuple(str(path) for path in packaged.paths), "sha256": packaged.sha256}


def engine_id(engine: str, options: SpeakOptions) -> str:
    """What an engine calls itself when it is open. Raises what `speech_spec` and opening raise."""
    spec = speech_spec(engine, options)
    return _opened_id(spec.name, tuple(sorted(spec.settings.items())))


def batch_size(engine: str) -> int:
    """How many clips an engine likes to be handed at once."""
    entry = ENGINES["speak"].get(engine)
    return entry.batch if entry else 1


@cache
def _opened_id(engine: str, settings: tuple[tuple[str, Any], ...]) -> str:
    voicer = open_engine("speak", engine, **dict(settings))
    try:
        return str(voicer.id)
    finally:
        voicer.close()
