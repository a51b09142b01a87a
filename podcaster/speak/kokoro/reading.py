"""What is put to Kokoro for a text: tokens, a row of a style, a speed, and the pauses between."""

import random
from collections.abc import Sequence
from dataclasses import dataclass, replace

from podcaster.errors import EngineError, VoiceError
from podcaster.model import Voice
from podcaster.speak.espeak import EspeakVoicer
from podcaster.speak.kokoro.phonemes import Tokens, cut, spell, tokenise
from podcaster.speak.kokoro.styles import (
    FASTEST,
    SLOWEST,
    KokoroSettings,
    Style,
    decode_style,
    list_stock,
    parse_settings,
    read_stock,
)
from podcaster.speak.kokoro.weights import Weights
from podcaster.speak.pauses import draw_pause_s

_SPEED_SPREAD = 0.025  # from one sentence to the next
_CUT_PAUSE_S = 0.1  # where a sentence was too long for one go


@dataclass(frozen=True)
class Piece:
    """What the model is given at once: tokens `(1, n + 2)`, a style's row `(1, 256)`, a speed.

    `sentence` is the number of the one that it is of, and `ends` whether that ends with it;
    `pause_s` is the silence after it.
    """

    tokens: Tokens
    style: Style
    speed: float
    sentence: int
    ends: bool
    pause_s: float


class Reader:
    """Turns sentences into pieces. It holds an eSpeak NG, which spells, and the styles it has read.

    Raises EngineError where a file of stock voices is none.
    """

    def __init__(self, weights: Weights) -> None:
        self._stock_path = weights.stock
        self._stock = list_stock(weights.stock) if weights.stock else ()
        self._styles: dict[str, Style] = {}
        self._speller = EspeakVoicer()

    @property
    def speller_id(self) -> str:
        """Name and version of what spells."""
        return self._speller.id

    def read(
        self, sentences: Sequence[str], voice: Voice, *, language: str, seed: int
    ) -> tuple[Piece, ...]:
        """The pieces of a text. The seed draws the pauses, and for each sentence a speed near the
        voice's.

        Raises VoiceError for settings, a stock voice or a language that Kokoro does not have,
        EngineError for a text in which there is nothing to say.
        """
        if not sentences:
            raise EngineError("Kokoro was given no sentence to say.")
        settings = parse_settings(voice)
        style = self._find_style(settings, voice)
        lines = spell(self._speller, sentences, language, british=settings.british)
        pieces: list[Piece] = []
        for number, (sentence, line) in enumerate(zip(sentences, lines, strict=True)):
            if not any(character.isalpha() for character in line):
                raise EngineError(f"There is nothing to say in {sentence[:60]!r}.")
            rng = random.Random(f"{seed}/{number}/{sentence}")
            factor = 1.0 + max(-0.05, min(0.05, rng.gauss(0.0, _SPEED_SPREAD)))
            speed = min(FASTEST, max(SLOWEST, settings.speed * factor))
            for text in (texts := cut(line)):
                tokens = tokenise(text)
                row = min(max(tokens.shape[1] - 2, 1), len(style)) - 1
                ends = text is texts[-1]
                pause_s = _CUT_PAUSE_S
                if ends:
                    pause_s = draw_pause_s(sentence, voice.words_per_minute, rng)
                pieces.append(Piece(tokens, style[row : row + 1], speed, number, ends, pause_s))
        pieces[-1] = replace(pieces[-1], pause_s=0.0)
        return tuple(pieces)

    def close(self) -> None:
        """Free what spells."""
        self._speller.close()

    def _find_style(self, settings: KokoroSettings, voice: Voice) -> Style:
        key = settings.style or settings.voice
        if key not in self._styles:
            if settings.style:
                self._styles[key] = decode_style(settings.style, f"voice {voice.name!r}")
            else:
                self._styles[key] = self._read_stock(settings.voice)
        return self._styles[key]

    def _read_stock(self, name: str) -> Style:
        if self._stock_path is None:
            raise VoiceError(
                f"The stock voice {name!r} is not here: this Kokoro has no file of them.",
                next_step="Get them with `podcaster setup kokoro`, or choose a built-in voice.",
            )
        if name not in self._stock:
            raise VoiceError(
                f"Kokoro has no stock voice {name!r} in {self._stock_path}.",
                next_step=f"Choose one of: {', '.join(self._stock)}.",
            )
        return read_stock(self._stock_path, name)
