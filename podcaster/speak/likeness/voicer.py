"""The built-in clone: a blend of built-in voices, made to resemble somebody by a few measures.

It is a likeness, not a clone: Kokoro speaks in the blend of our voices that is nearest, and WORLD
moves pitch, melody and colour to where the references have them.
"""

import base64
import hashlib
from collections.abc import Sequence
from contextlib import closing
from functools import cache
from importlib.metadata import version
from importlib.util import find_spec
from typing import Annotated, Any

import msgspec
import numpy as np

from podcaster.errors import EngineError, EngineMissing, VoiceError
from podcaster.model import Noun, Voice
from podcaster.speak.engine import Samples, Speech
from podcaster.speak.kokoro.styles import FASTEST, SLOWEST, decode_style, format_style
from podcaster.speak.kokoro.voicer import KokoroVoicer
from podcaster.speak.likeness.blending import Heard, find_blend
from podcaster.speak.likeness.measures import find_difference, listen, measure
from podcaster.speak.likeness.shaping import Shape, make_shape, shape_speech
from podcaster.speak.likeness.study import (
    TEXT,
    find_standard,
    hear_references,
    keep,
    make_voice,
    resample,
)
from podcaster.speak.voices import KOKORO, builtin_folder, read_voices

FORMAT = 1  # of what is kept, and of how it is found and imposed
_PROBE, _SAMPLE = TEXT[1:2], TEXT[2:5]
_LARGEST_GAIN_DB = 9.0
_ROOM = 2.0  # around the spoken pitch, as a factor


class LikenessSettings(msgspec.Struct, frozen=True, kw_only=True):
    """What a `voice.toml` may say for this engine; other engines' keys are theirs."""

    accent: Annotated[str, msgspec.Meta(pattern=r"^(american|british)?$")] = ""


class Likeness(Noun, frozen=True):
    """What was found for a voice, kept as JSON: a style in base64, and what is imposed on it.

    `blend` names the built-in voices with their shares, `words_per_minute` is their pace.
    """

    blend: dict[str, float]
    style: Annotated[str, msgspec.Meta(max_length=16_000)]
    words_per_minute: Annotated[float, msgspec.Meta(ge=40, le=400)]
    shape: Shape


class LikenessVoicer:
    """A `Voicer` on Kokoro and WORLD, 24 kHz; it is opened with what `KokoroVoicer` takes.

    Raises what that raises, and EngineError where there is no built-in voice to blend.
    """

    def __init__(
        self,
        *,
        model: str | Sequence[str] = "",
        sha256: str = "",
        device: str = "auto",
        threads: int = 1,
    ) -> None:
        self._kokoro = KokoroVoicer(model=model, sha256=sha256, device=device, threads=threads)
        self._device = device
        self._voices = _find_parts()
        styles = hashlib.sha256("".join(one.sha256 for one in self._voices).encode())
        self._id = (
            f"likeness {FORMAT} ({self._kokoro.id}, pyworld {version('pyworld-prebuilt')}, "
            f"voices {styles.hexdigest()[:8]}, {_describe_encoder()})"
        )
        self._known: dict[tuple[str, ...], Likeness] = {}

    @property
    def id(self) -> str:
        """Kokoro's id, WORLD's version, and what decides the blend: our voices and the encoder."""
        return self._id

    def say(self, sentences: Sequence[str], voice: Voice, *, language: str, seed: int) -> Speech:
        """Speak as Kokoro does, and make it resemble the voice; sentences end where they did.

        Raises VoiceError for references that cannot be read or in which nobody speaks, for wrong
        settings or a language that Kokoro does not have; EngineError for a text in which there is
        nothing to say. The same arguments give the same samples.
        """
        likeness = self.study(voice)
        speed = voice.words_per_minute / likeness.words_per_minute
        blend = msgspec.structs.replace(
            make_voice(
                voice.name,
                KOKORO,
                {
                    "style": likeness.style,
                    "accent": _find_accent(voice),
                    "speed": round(min(FASTEST, max(SLOWEST, speed)), 3),
                },
            ),
            words_per_minute=voice.words_per_minute,
        )
        spoken = self._kokoro.say(sentences, blend, language=language, seed=seed)
        middle_hz = likeness.shape.spoken_hz
        return shape_speech(spoken, likeness.shape, (middle_hz / _ROOM, middle_hz * _ROOM))

    def study(self, voice: Voice) -> Likeness:
        """Find a voice's blend and shape, once: what is kept is read afterwards.

        It takes about as long as a minute of speech. Raises VoiceError.
        """
        if voice.references not in self._known:
            self._known[voice.references] = keep(
                voice, self._id, Likeness, lambda: self._work_out(voice)
            )
        return self._known[voice.references]

    def close(self) -> None:
        """Free the model."""
        self._kokoro.close()

    def _work_out(self, voice: Voice) -> Likeness:
        sounds, portrait = hear_references(voice)
        standard = find_standard()
        parts = [one for one in self._voices if _is_near(one, voice)]
        spoken = [self._sound(one, _PROBE) for one in parts]
        prints = self._take_prints([*spoken, np.concatenate(sounds)])
        measures = [measure(listen([one]), standard) for one in spoken]
        wanted = measure(portrait, standard)
        *heard, target = (
            Heard(one, taken) for one, taken in zip([*measures, wanted], prints, strict=True)
        )
        shares = find_blend(heard, target)
        used = [(one, share) for one, share in zip(parts, shares, strict=True) if share]
        style = sum(
            share * decode_style(str(one.engine_settings["style"]), one.name) for one, share in used
        )
        text = base64.b64encode(format_style(np.asarray(style))).decode("ascii")
        blend = make_voice(voice.name, KOKORO, {"style": text, "accent": _find_accent(voice)})
        sample = measure(listen([self._sound(blend, _SAMPLE)]), standard)
        return Likeness(
            blend={one.name: share for one, share in used},
            style=text,
            words_per_minute=round(sum(share * one.words_per_minute for one, share in used), 1),
            shape=make_shape(
                sample,
                wanted,
                formant_scale=1.0,
                gains_db=find_difference(sample, wanted),
                most_db=_LARGEST_GAIN_DB,
            ),
        )

    def _sound(self, voice: Voice, sentences: Sequence[str]) -> Samples:
        return resample(self._kokoro.say(sentences, voice, language="en", seed=0))

    def _take_prints(self, sounds: Sequence[Samples]) -> Sequence[Any]:
        """A voiceprint `(256,)` of each; None of all where the encoder is not installed."""
        try:
            # here, for it imports torch, which the base install has not
            from podcaster.voiceprint import Encoder

            encoder = Encoder(device=self._device)
        except (ImportError, EngineMissing):
            return [None] * len(sounds)
        with closing(encoder):
            return [encoder.embed(one) for one in sounds]


def _describe_encoder() -> str:
    """The package of the speaker encoder, or that it is not here; nothing is imported."""
    here = all(find_spec(name) for name in ("torch", "resemblyzer"))
    return f"resemblyzer {version('resemblyzer')}" if here else "no encoder"


@cache
def _find_parts() -> tuple[Voice, ...]:
    """The built-in Kokoro voices, by name."""
    voices, _ = read_voices([builtin_folder()])
    found = tuple(one for one in voices.values() if one.engine == KOKORO)
    if not found:
        raise EngineError(f"There are no built-in voices in {builtin_folder()} to blend.")
    return found


def _is_near(part: Voice, voice: Voice) -> bool:
    """Whether a built-in voice's own language is English, or the voice's own."""
    own, wanted = (one.languages[0].lower().partition("-")[0] for one in (part, voice))
    return own in ("en", wanted)


def _find_accent(voice: Voice) -> str:
    """The accent of a voice's English. Raises VoiceError for settings that are wrong."""
    try:
        settings = msgspec.convert(voice.engine_settings, LikenessSettings)
    except msgspec.ValidationError as error:
        raise VoiceError(
            f"The settings of voice {voice.name!r} are wrong: {error}.",
            next_step="Correct the table [settings] of its voice.toml: accent is american or "
            "british.",
        ) from error
    british = any(one.lower().startswith("en-gb") for one in voice.languages)
    return settings.accent or ("british" if british else "american")
