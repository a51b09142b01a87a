"""What a `voice.toml` may say about an eSpeak NG voice, and the variant file it becomes."""

import hashlib
import re
from functools import cache
from pathlib import Path
from typing import Annotated

import espeakng_loader
import msgspec

from podcaster.errors import VoiceError
from podcaster.model import Voice

# how the model spells languages; private accents (en-gb-x-rp) are none
_LANGUAGE = re.compile(r"^[a-z]{2,3}(-[A-Za-z0-9]{2,8})*$")
Percent = Annotated[int, msgspec.Meta(ge=50, le=150)]

# files of eSpeak's `lang` folder whose names are not what people call the language
_ALIASES = {"en-gb": "en", "no": "nb", "zh": "cmn", "pt-pt": "pt", "de-de": "de", "fr-fr": "fr"}


class EspeakSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A timbre and a manner, in eSpeak's terms; the table `[settings]` of a `voice.toml`.

    `accent` is how the voice speaks the language that the accent belongs to; every other language
    it speaks as eSpeak does. Formants are percentages of the standard speaker's.
    """

    accent: Annotated[str, msgspec.Meta(pattern=r"^[a-z]{2,3}(-[a-z0-9]{1,8})*$")] = "en-us"
    pace_wpm: Annotated[int, msgspec.Meta(ge=90, le=300)] = 165
    pitch_low_hz: Annotated[int, msgspec.Meta(ge=45, le=350)] = 82
    pitch_high_hz: Annotated[int, msgspec.Meta(ge=50, le=500)] = 118
    formant_1_percent: Percent = 100
    formant_2_percent: Percent = 100
    formant_3_percent: Percent = 100
    formant_rest_percent: Percent = 100
    bandwidth_percent: Percent = 100
    brightness_percent: Percent = 100
    breath_percent: Annotated[int, msgspec.Meta(ge=0, le=60)] = 0

    def __post_init__(self) -> None:
        if self.pitch_high_hz <= self.pitch_low_hz:
            raise ValueError(
                f"pitch_high_hz is {self.pitch_high_hz}, expected more than "
                f"pitch_low_hz, {self.pitch_low_hz}"
            )
        if self.accent not in language_files():
            raise ValueError(f"eSpeak NG has no accent {self.accent!r}")

    @property
    def pitch_hz(self) -> float:
        """The geometric middle of the pitch range, where the voice spends most of its time."""
        return float((self.pitch_low_hz * self.pitch_high_hz) ** 0.5)


def parse_settings(voice: Voice) -> EspeakSettings:
    """Read what a voice says for eSpeak. Raises VoiceError, naming the field."""
    try:
        return msgspec.convert(voice.engine_settings, EspeakSettings)
    except (msgspec.ValidationError, ValueError) as error:
        raise VoiceError(
            f"The eSpeak settings of voice {voice.name!r} are wrong: {error}.",
            next_step="Correct the table [settings] of its voice.toml.",
        ) from error


def format_variant(settings: EspeakSettings) -> str:
    """Spell settings as an eSpeak NG variant file (format: eSpeak NG's docs/voices.md).

    Flutter, roughness and breath stay at zero: eSpeak draws them from a state that outlives an
    utterance, so that the same text would not give the same samples twice.
    """
    width = settings.bandwidth_percent
    formants = [
        (0, 100),
        (1, settings.formant_1_percent),
        (2, settings.formant_2_percent),
        (3, settings.formant_3_percent),
        *((number, settings.formant_rest_percent) for number in range(4, 9)),
    ]
    bright = settings.brightness_percent / 100
    high, highest = (min(255, round(level * bright)) for level in (135, 110))
    lines = [
        "language variant",
        "name podcaster",
        f"pitch {settings.pitch_low_hz} {settings.pitch_high_hz}",
        "flutter 0",
        "roughness 0",
        *(f"formant {number} {percent} 100 {width}" for number, percent in formants),
        f"tone 600 170 1200 {high} 2000 {highest}",
    ]
    return "\n".join(lines) + "\n"


def variant_name(settings: EspeakSettings) -> str:
    """A file name that belongs to this variant alone; eSpeak wants it short."""
    return "v" + hashlib.sha256(format_variant(settings).encode()).hexdigest()[:16]


@cache
def language_files() -> dict[str, Path]:
    """The languages and accents that this eSpeak NG speaks, lower-cased, each with its file."""
    data = Path(espeakng_loader.get_data_path())
    found = (path for path in sorted((data / "lang").rglob("*")) if path.is_file())
    return {path.name.lower(): path for path in found if _has_dictionary(path, data)}


def _has_dictionary(path: Path, data: Path) -> bool:
    # a language whose dictionary is not in the package is listed, but silent
    fields = dict(
        line.split()[:2] for line in path.read_text("utf-8").splitlines() if len(line.split()) > 1
    )
    name = fields.get("dictionary") or fields.get("language", path.name).partition("-")[0]
    return (data / f"{name}_dict").is_file()


def languages() -> tuple[str, ...]:
    """The languages (`en`, `de`, `pt-br`, …) that this eSpeak NG speaks."""
    return tuple(sorted(name for name in language_files() if _LANGUAGE.match(name)))


def find_accent(settings: EspeakSettings, language: str) -> str:
    """The name under which eSpeak knows how this voice speaks `language`.

    Raises VoiceError where eSpeak does not speak it.
    """
    wanted = language.lower()
    tongue = wanted.partition("-")[0]
    if settings.accent.partition("-")[0] == tongue:
        return settings.accent
    for name in (wanted, _ALIASES.get(wanted), _ALIASES.get(tongue), tongue):
        if name and name in language_files():
            return name
    raise VoiceError(
        f"eSpeak NG does not speak {language!r}.",
        next_step="Choose one of: " + ", ".join(languages()) + ".",
    )
