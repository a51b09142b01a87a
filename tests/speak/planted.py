"""Clips that are good, and faults planted into them: for the gate's tests and its benchmark.

Good clips are the built-in voices' and, where the shared recordings are at hand, people's, with
the words that they say.
"""

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec
import numpy as np

from podcaster import audio
from podcaster.model import Voice
from podcaster.speak.casting import CLEAR_CONTRAST, contrast
from podcaster.speak.checks.pace import foretell_s, pauses_between_s, speaking_s
from podcaster.speak.checks.sound import outline
from podcaster.speak.engine import Samples
from podcaster.speak.espeak import EspeakVoicer
from podcaster.speak.text import prepare

SHARED = Path(__file__).parents[2].parent / "shared" / "data" / "audio"
CONVERSATION = Path(__file__).parents[2] / "bench" / "conversation.txt"

# what is hard to judge: short, long, lists, numbers, words that are really said twice
TURNS = (
    "Yes.",
    "No, no, no.",
    "Right, right.",
    "Why?",
    "Thank you. Thank you very much.",
    "Really? I had no idea.",
    "It was in 1987, or maybe 1988; the 3rd of May, at half past six in the morning.",
    "It cost $4.2 million, which is 17% more than we had, and nobody had asked us.",
    "More and more and more, until there was no room left, and then still more.",
    "Again and again we tried, and again and again it rained.",
    "First the flour, then the eggs, then the milk, then a pinch of salt, then patience.",
    "She said that she would come, and she came; he said that he would stay, and he left.",
    "I would rather have a small garden that I can look after than a large one that I cannot.",
    "The bread is in the oven, the oven is in the kitchen, the kitchen is in the house.",
    "Hmm. Well, let me think about that for a moment, because nobody has ever asked me that.",
    "What a night! The wind took the roof, the rain took the stairs, and we sat and sang.",
    "You begin with one string, and you learn to listen. Then you take the second one. That is "
    "harder than it sounds, because now there are two of them, and they do not agree. After a "
    "year you have four, and you begin to suspect that you will never be done. I am sixty-one, "
    "and I still find something new in the lowest one every week.",
    "There was a bus at ten, one at noon, and one at four, if it had not snowed.",
    "Dr. Ng and Mr. O'Neill met at St. Mary's in the U.S. around 9:30 a.m.",
    "Slowly. Very slowly. You must not hurry it.",
    "My brother builds boats; I only sink them, as he likes to say at every wedding.",
    "So the whole town knew about it before we did?",
    "That is the best question that anybody could have asked me today.",
    "We walked for three days and three nights, with one lamp between the four of us.",
)


@dataclass(frozen=True)
class Sample:
    """A clip, what is said in it, and by whom; `ends_s` are empty where nobody knows."""

    name: str
    who: str
    voice: Voice
    samples: Samples
    rate_hz: int
    sentences: tuple[str, ...]
    ends_s: tuple[float, ...] = ()

    @property
    def duration_s(self) -> float:
        return len(self.samples) / self.rate_hz


def read_turns() -> tuple[str, ...]:
    """The turns of the conversation in the repository, and the hard ones."""
    lines = CONVERSATION.read_text("utf-8").splitlines()
    return (*(line.partition(": ")[2] for line in lines), *TURNS)


def speak(engine: EspeakVoicer, text: str, voice: Voice, seed: int) -> Sample:
    """One turn in a built-in voice."""
    spoken = tuple(one.spoken for one in prepare(text, "en") if one.spoken)
    speech = engine.say(spoken, voice, language="en", seed=seed)
    return Sample(
        f"{voice.name}/{text[:20]}",
        voice.name,
        voice,
        speech.samples,
        speech.sample_rate_hz,
        spoken,
        speech.sentence_ends_s,
    )


def read_people(model: Voice) -> list[Sample]:
    """What people say in the shared recordings; none where those are not at hand.

    Each gets the words per minute of what else they say, as a measured voice has; `model` gives
    the rest of the voice.
    """
    found = [*_read_reader(model), *_read_podcast(model)]
    paced = []
    for one in found:
        rest = [other for other in found if other.who == one.who and other is not one]
        ratio = math.exp(np.mean([math.log(pace(other)) for other in rest]))
        voice = msgspec.structs.replace(
            model, name=one.who, words_per_minute=model.words_per_minute / ratio
        )
        paced.append(replace(one, voice=voice))
    return paced


def pace(one: Sample) -> float:
    """The length of a clip over what is foretold for its voice."""
    foretold_s = sum(foretell_s(one.sentences, one.voice, "en"))
    foretold_s += pauses_between_s(one.sentences, one.voice)
    return speaking_s(outline(one.samples, one.rate_hz)) / foretold_s


def _read_reader(model: Voice) -> list[Sample]:
    found = []
    listing = SHARED / "ljspeech" / "metadata.csv"
    for line in listing.read_text("utf-8").splitlines() if listing.exists() else []:
        name, _, text = line.split("|")
        samples = read_sound(SHARED / "ljspeech" / f"{name}.flac", 22_050)
        found.append(_of(name, "reader", model, samples, 22_050, text))
    return found


def _read_podcast(model: Voice) -> list[Sample]:
    path = SHARED / "tea-brew.json"
    if not path.exists():
        return []
    turns = json.loads(path.read_text("utf-8"))["segments"]
    samples = read_sound(SHARED / "tea-brew.mp3", 24_000)
    return [
        _of(
            f"turn {number}",
            f"speaker {turn['speaker']}",
            model,
            samples[round(turn["start"] * 24_000) : round(turn["end"] * 24_000)],
            24_000,
            turn["text"],
        )
        for number, turn in enumerate(turns)
    ]


def read_sound(path: Path, rate_hz: int) -> Samples:
    return np.concatenate(list(audio.decode(path, rate_hz, 1)))


def _of(name: str, who: str, voice: Voice, samples: Samples, rate_hz: int, text: str) -> Sample:
    spoken = tuple(one.spoken for one in prepare(text, "en") if one.spoken)
    return Sample(name, who, voice, samples, rate_hz, spoken)


Plant = Callable[[Sample, np.random.Generator], Sample]


def double_tail(one: Sample, random: np.random.Generator) -> Sample:
    """The last 0.4 to 1.5 s once more, at once or after a breath."""
    sound = _trim(one)
    length_s = min(random.uniform(0.4, 1.5), len(sound) / one.rate_hz / 2.05)
    gap = _silence(one, random.choice([0.0, 0.05, 0.3]), random)
    return _with(one, np.concatenate([sound, gap, sound[-round(length_s * one.rate_hz) :]]))


def say_tail_again(engine: EspeakVoicer) -> Plant:
    """The last two to five words spoken once more, in another tone and pace."""

    def plant(one: Sample, random: np.random.Generator) -> Sample:
        words = one.sentences[-1].split()
        tail = " ".join(words[-int(random.integers(2, 6)) :])
        again = engine.say([tail], one.voice, language="en", seed=int(random.integers(1000)))
        gap = _silence(one, random.uniform(0.05, 0.4), random)
        return _with(one, np.concatenate([_trim(one), gap, again.samples]))

    return plant


def swallow_half(one: Sample, random: np.random.Generator) -> Sample:
    """Half of the clip is gone: the first, the last, or one in the middle."""
    sound = _trim(one)
    half = len(sound) // 2
    start = int(random.choice([0, half // 2, half]))
    return _with(one, np.concatenate([sound[:start], sound[start + half :]]))


def fall_silent(one: Sample, random: np.random.Generator) -> Sample:
    """3 s of silence somewhere inside, digital or of a quiet room."""
    sound = _trim(one)
    place = round(random.uniform(0.15, 0.85) * len(sound))
    return _with(one, np.concatenate([sound[:place], _silence(one, 3.0, random), sound[place:]]))


def end_in_silence(one: Sample, random: np.random.Generator) -> Sample:
    """3 s of silence at the end."""
    return _with(one, np.concatenate([_trim(one), _silence(one, 3.0, random)]))


def clip_peaks(one: Sample, random: np.random.Generator) -> Sample:
    """Driven into the end of the scale by 6 to 20 dB, and sometimes made quieter afterwards."""
    gain = 10 ** (random.uniform(6, 20) / 20) / float(np.abs(one.samples).max())
    driven = np.clip(one.samples * gain, -1.0, 1.0) * random.choice([1.0, 0.6])
    return _with(one, driven.astype(np.float32))


def fade_away(one: Sample, random: np.random.Generator) -> Sample:
    """One half 14 to 20 dB quieter than the other."""
    sound = _trim(one).copy()
    half = slice(0, len(sound) // 2) if random.random() < 0.5 else slice(len(sound) // 2, None)
    sound[half] *= np.float32(10 ** (-random.uniform(14, 20) / 20))
    return _with(one, sound)


FAULTS: dict[str, Plant] = {
    "repeated_tail": double_tail,
    "too_short": swallow_half,
    "silence_inside": fall_silent,
    "silence_at_end": end_in_silence,
    "clipping": clip_peaks,
    "loudness": fade_away,
}


def other_voice(voice: Voice, voices: Sequence[Voice]) -> Voice:
    """A voice that might be cast beside this one."""
    return next(one for one in voices if contrast(voice, one) >= CLEAR_CONTRAST)


def _with(one: Sample, samples: Samples) -> Sample:
    # when its sentences end is no longer known
    return replace(one, samples=samples.astype(np.float32), ends_s=())


def _trim(one: Sample) -> Samples:
    shape = outline(one.samples, one.rate_hz)
    end = len(one.samples) - round(shape.tail_s * one.rate_hz)
    return one.samples[round(shape.lead_s * one.rate_hz) : end]


def _silence(one: Sample, seconds: float, random: np.random.Generator) -> Samples:
    noise_db = random.choice([-200.0, -75.0])
    noise = random.standard_normal(round(seconds * one.rate_hz)) * 10 ** (noise_db / 20)
    return noise.astype(np.float32)
