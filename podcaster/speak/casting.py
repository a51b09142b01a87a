"""Who speaks with which voice: what was asked for first, then voices that nobody can confuse."""

import hashlib
import math
from collections.abc import Iterable, Mapping, Sequence

from msgspec.structs import replace

from podcaster.errors import ConsentMissing, VoiceError
from podcaster.model import Speaker, Voice, slugify
from podcaster.progress import Progress, Silence
from podcaster.speak.names import find_gender
from podcaster.speak.sketching import ESPEAK, sketch, sketch_settings
from podcaster.speak.voices import check_consent, choose_voice, is_nobodys, speaks

# in octaves of pitch, the unit of `contrast`: about six semitones, a clear difference to any ear
CLEAR_CONTRAST = 0.5
# so that who the same name gets is a matter of taste only once
_TASTE = "podcaster"


def cast_voices(
    speakers: Sequence[Speaker],
    voices: Mapping[str, Voice],
    asked: Mapping[str, str],
    *,
    language: str,
    progress: Progress | None = None,
) -> dict[str, Voice]:
    """Give every speaker a voice, by speaker id; the same people get the same voices each time.

    `asked` maps a speaker's id, name or role to a voice's name; a speaker's own `voice` comes
    next, unless it was asked for somebody else; then somebody's own voice that bears the speaker's
    name (`jane-doe` for Jane Doe). Whoever is left gets a built-in voice: one that suits the name,
    where that is plainly a woman's or a man's, and is in clear contrast to the others; host and
    guest never share one unless both were asked for by name. Languages that only eSpeak NG knows
    are spoken by sketches. A voice without consent is reported to `progress`, and a built-in one
    speaks instead.

    Raises VoiceError for an unknown voice, or where no voice speaks `language`.
    """
    able = {name: voice for name, voice in voices.items() if speaks(voice, language)}
    if not find_free(able.values(), language):
        sketches = {name: sketch(voice) for name, voice in voices.items() if is_nobodys(voice)}
        able |= {name: voice for name, voice in sketches.items() if speaks(voice, language)}
    cast = _cast_requests(speakers, voices, able, asked, progress or Silence())
    free = find_free(able.values(), language)
    if len(cast) < len(speakers) and not free:
        raise VoiceError(
            f"No built-in voice speaks {language!r}.",
            next_step="Write the episode in another language, or add a voice with "
            "`podcaster voice add`.",
        )
    for speaker in sorted(speakers, key=lambda who: _PRECEDENCE[who.role]):
        if speaker.id not in cast:
            cast[speaker.id] = _contrasting(speaker, free, list(cast.values()))
    return {speaker.id: cast[speaker.id] for speaker in speakers}


def _cast_requests(
    speakers: Sequence[Speaker],
    voices: Mapping[str, Voice],
    able: Mapping[str, Voice],
    asked: Mapping[str, str],
    progress: Progress,
) -> dict[str, Voice]:
    """Give the voices that were asked for, where they speak the language and may speak at all."""
    cast: dict[str, Voice] = {}
    requests = {speaker.id: _asked_for(speaker, asked) for speaker in speakers}
    wanted = set(requests.values())
    for speaker in speakers:
        name = requests[speaker.id] or (None if speaker.voice in wanted else speaker.voice)
        name = name or _namesake(speaker, able)
        if name is None:
            continue
        voice = choose_voice(name, voices)
        voice = able.get(voice.name, voice)
        if voice.name not in able:
            raise VoiceError(
                f"Voice {voice.name!r}, asked for {speaker.name!r}, does not speak this language.",
                next_step="Choose one of: " + (", ".join(sorted(able)) or "none does") + ".",
            )
        try:
            check_consent(voice)
        except ConsentMissing as error:
            progress.note(f"{error} A built-in voice speaks for {speaker.name} instead.")
            continue
        cast[speaker.id] = voice
    return cast


def find_free(voices: Iterable[Voice], language: str) -> list[Voice]:
    """Who may be cast unasked: a model's voices, and whose own tongue it is, if there are such."""
    free = [voice for voice in voices if is_nobodys(voice) and speaks(voice, language)]
    for better in (
        lambda voice: voice.engine != ESPEAK,
        lambda voice: speaks(replace(voice, languages=voice.languages[:1]), language),
    ):
        free = [voice for voice in free if better(voice)] or free
    return free


def contrast(one: Voice, other: Voice) -> float:
    """How far apart two voices are: octaves of pitch, and a little for sex, size, pace and accent.

    Zero for the same voice; with somebody's own voice, a clear contrast.
    """
    if one.sha256 == other.sha256:
        return 0.0
    if not (is_nobodys(one) and is_nobodys(other)):
        return CLEAR_CONTRAST
    a, b = sketch_settings(one), sketch_settings(other)
    pitch = abs(math.log2(a.pitch_hz / b.pitch_hz))
    size = abs(math.log2(a.formant_2_percent / b.formant_2_percent))
    pace = abs(math.log2(one.words_per_minute / other.words_per_minute))
    sexes = 0.4 if one.gender and other.gender and one.gender != other.gender else 0.0
    return pitch + 0.5 * size + 0.2 * pace + sexes + (0.05 if a.accent != b.accent else 0.0)


# guests first: theirs are the names that are to keep their voices from host to host
_PRECEDENCE = {"guest": 0, "host": 1, "other": 2}


def _asked_for(speaker: Speaker, asked: Mapping[str, str]) -> str | None:
    by_name = {key.strip().casefold(): value for key, value in asked.items()}
    for key in (speaker.id, speaker.name, speaker.role):
        if key.strip().casefold() in by_name:
            return by_name[key.strip().casefold()]
    return None


def _namesake(speaker: Speaker, voices: Mapping[str, Voice]) -> str | None:
    """The voice that was recorded of who is called so; a built-in one is nobody's namesake."""
    voice = voices.get(slugify(speaker.name, fallback="speaker"))
    return voice.name if voice is not None and voice.references else None


def _contrasting(speaker: Speaker, free: Sequence[Voice], taken: Sequence[Voice]) -> Voice:
    """The voice that this name prefers among those far enough from all that are taken."""

    def taste(voice: Voice) -> str:
        name = speaker.name.strip().casefold()
        return hashlib.sha256(f"{_TASTE}/{name}/{voice.name}".encode()).hexdigest()

    def nearest(voice: Voice) -> float:
        return min((contrast(voice, other) for other in taken), default=math.inf)

    gender = find_gender(speaker.name)
    suiting = [voice for voice in free if gender in (None, voice.gender)]
    if any(nearest(voice) > 0 for voice in suiting):
        free = suiting
    clear = [voice for voice in free if nearest(voice) >= CLEAR_CONTRAST]
    if clear:
        return min(clear, key=taste)
    unused = [voice for voice in free if nearest(voice) > 0]
    if unused:
        return max(unused, key=lambda voice: (nearest(voice), taste(voice)))
    # more people than voices: whoever has spoken least shares
    uses = {voice.name: sum(voice.name == other.name for other in taken) for voice in free}
    fewest = min(uses.values())
    return min((voice for voice in free if uses[voice.name] == fewest), key=taste)
