"""Whisper through faster-whisper: batched, with voice activity detection and word times.

Settings are chosen against the hallucinations that Whisper is known for: silence and music are
removed first (Silero VAD, which comes with the library), no window is told what the one before it
said, windows carry no timestamp tokens of their own (the batched pipeline drops the words after the
last one; times come from cross-attention instead).

The batched pipeline decodes each window once and ignores the thresholds by which Whisper tells that
it failed. Windows that fail them are decoded again here, one by one; see `repair`.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path
from typing import Any

import ctranslate2
import numpy as np
from faster_whisper import BatchedInferencePipeline, WhisperModel
from faster_whisper.tokenizer import _LANGUAGE_CODES
from faster_whisper.transcribe import restore_speech_timestamps

from podcaster.audio import Samples
from podcaster.errors import EngineError, InputError, PodcasterError
from podcaster.model import Utterance, Word
from podcaster.placement import choose_device
from podcaster.transcribe.engine import SAMPLE_RATE_HZ, Heard
from podcaster.transcribe.models import (
    TRANSCRIBER_PACKAGES,
    check_transcriber_folder,
    identify,
)
from podcaster.transcribe.repair import (
    LEAST_LOGPROB,
    MOST_COMPRESSION,
    MOST_NO_SPEECH,
    Decoding,
    choose_decoding,
    cut_loops,
    find_windows,
    gather_windows,
)
from podcaster.transcribe.utterances import (
    LANGUAGES_WITHOUT_SPACES,
    gather_utterances,
    in_order,
    primary_language,
)

UNKNOWN_LANGUAGE = "und"  # ISO 639-2: undetermined; nobody speaks
VAD = {"threshold": 0.5, "min_speech_duration_ms": 100, "min_silence_duration_ms": 160,
       "speech_pad_ms": 400}  # fmt: skip
# a podcast may open with music or another language's jingle: four windows may be asked
LANGUAGE_WINDOWS = 4
SURE_OF_LANGUAGE = 0.7
# of second tries: Whisper's own ladder, with as many candidates on each rung
SAMPLING_TEMPERATURES = (0.2, 0.4, 0.6, 0.8, 1.0)
CANDIDATES = 5
SAMPLING_SEED = 1
# what is counted while listening, among the options of `Heard`: windows; those decoded again; those
# of which the second try was kept; those dropped because nobody speaks; loops cut to one phrase;
# windows kept though no try passed
COUNTS = ("windows", "decoded_again", "replaced", "dropped", "loops_cut", "doubtful")
# where Whisper's code for a language is not the one that feeds use
_WHISPER_CODES = {"nb": "no", "jv": "jw", "iw": "he", "fil": "tl", "in": "id", "cmn": "zh"}
_OUT_OF_MEMORY = re.compile(r"out of memory|bad_alloc|CUBLAS_STATUS_ALLOC", re.IGNORECASE)


@dataclass
class _Recording:
    """What second tries need to know of the recording that is listened to.

    `windows` are the speech parts of each window, `start` and `end` in samples, by the window's
    `seek`; `tally` is the `options` of its `Heard`; `sampled` whether a try has drawn at random.
    """

    samples: Samples
    language: str
    windows: dict[int, list[dict[str, int]]]
    hotwords: bool
    tally: dict[str, Any]
    sampled: bool = False


class FasterWhisperTranscriber:
    """A `Transcriber` on the Whisper model in a folder; nothing is ever downloaded.

    `compute_type` as ctranslate2 names it, `device` auto, cpu or cuda; `cpu_threads` 0 lets it
    choose. Raises EngineError where the folder holds no model that can be loaded.
    """

    def __init__(
        self,
        model: str | Path,
        *,
        compute_type: str = "auto",
        device: str = "auto",
        batch_size: int = 8,
        beam_size: int = 5,
        cpu_threads: int = 0,
    ) -> None:
        self._folder = Path(model)
        self._batch_size, self._beam_size = batch_size, beam_size
        self._compute_type = compute_type
        self._device, self._cpu_threads = choose_device(device, "ctranslate2"), cpu_threads
        self._sampled = False  # whether the model's random numbers have begun
        check_transcriber_folder(self._folder)
        self._id = identify(TRANSCRIBER_PACKAGES, self._folder)
        with self._explaining(f"Loading the model in {self._folder}"):
            self._model: Any = self._load()
        self._check_features()
        self._languages = self._find_languages()

    @property
    def id(self) -> str:
        """Versions of faster-whisper and ctranslate2, the model's name and a hash of its files."""
        return self._id

    @property
    def languages(self) -> tuple[str, ...]:
        """The codes of the languages that the model knows."""
        return self._languages

    def listen(self, samples: Samples, *, language: str | None, hotwords: Sequence[str]) -> Heard:
        """Begin to listen to float32 mono `(n_samples,)` at 16 kHz; see `Transcriber`.

        Where nobody speaks there are no utterances, and a language that was not given is `und`.
        `options` count windows while the utterances come: see `COUNTS`.
        """
        if self._model is None:
            raise EngineError("This transcriber is closed.")
        code = self._check_language(language)
        options = {
            "beam_size": self._beam_size,
            "hotwords": list(hotwords),
            "vad": VAD,
            "compute_type": str(self._model.model.compute_type),
            **dict.fromkeys(COUNTS, 0),
        }
        nothing = Heard(language or UNKNOWN_LANGUAGE, 0.0, iter(()), options)
        if not len(samples):
            return nothing
        with self._explaining("Listening"):
            segments, info = BatchedInferencePipeline(self._model).transcribe(
                np.ascontiguousarray(samples, dtype=np.float32),
                language=code,
                beam_size=self._beam_size,
                batch_size=self._batch_size,
                hotwords=", ".join(hotwords) or None,
                vad_filter=True,
                vad_parameters=dict(VAD),
                word_timestamps=True,
                without_timestamps=True,
                condition_on_previous_text=False,
                language_detection_segments=LANGUAGE_WINDOWS,
                language_detection_threshold=SURE_OF_LANGUAGE,
            )
        if not info.duration_after_vad:
            return nothing
        recording = _Recording(
            samples=samples,
            language=info.language,
            windows=find_windows(info.transcription_options.clip_timestamps),
            hotwords=bool(hotwords),
            tally=options,
        )
        utterances = self._hear(segments, recording)
        return Heard(info.language, float(info.language_probability), utterances, options)

    def close(self) -> None:
        """Give the model's memory back."""
        if self._model is not None:
            self._model.model.unload_model()
            self._model = None

    def _hear(self, segments: Iterable[Any], recording: _Recording) -> Iterator[Utterance]:
        """Utterances while windows come; the library works in `next`."""
        windows = gather_windows(segments, self._first_time_token)
        duration_s = len(recording.samples) / SAMPLE_RATE_HZ
        after_s = 0.0
        while True:
            with self._explaining("Listening"):
                window = next(windows, None)
                if window is None:
                    return
                tries = [_read_decoding(window, recording.language)]
                if tries[0].failed:
                    tries += self._decode_again(window[0].seek, recording)
            words = in_order(_take_best(tries, recording.tally), duration_s, after_s)
            for utterance in gather_utterances(words, recording.language):
                after_s = utterance.end_s or after_s
                yield utterance

    def _decode_again(self, seek: int, recording: _Recording) -> Iterator[Decoding]:
        """Second tries at a window that failed, without hotwords: they are a known cause of loops.

        Where hotwords were told, doing without may be enough; else, and then, it is sampled.
        """
        parts = recording.windows.get(seek)
        if parts is None:
            return
        recording.tally["decoded_again"] += 1
        sound = np.concatenate([recording.samples[part["start"] : part["end"]] for part in parts])
        if recording.hotwords:
            calm = self._decode_alone(sound, parts, recording.language, (0.0,))
            if calm is not None:
                yield calm
                if not calm.failed:
                    return
        if not recording.sampled:
            self._begin_sampling()
            recording.sampled = True
        sampled = self._decode_alone(sound, parts, recording.language, SAMPLING_TEMPERATURES)
        if sampled is not None:
            yield sampled

    def _decode_alone(
        self,
        sound: Samples,
        parts: list[dict[str, int]],
        language: str,
        temperatures: tuple[float, ...],
    ) -> Decoding | None:
        """One window by the sequential decoder; None where it finds no speech or no words."""
        segments, _ = self._model.transcribe(
            np.ascontiguousarray(sound, dtype=np.float32),
            language=language,
            beam_size=self._beam_size,
            best_of=CANDIDATES,
            temperature=temperatures,
            compression_ratio_threshold=MOST_COMPRESSION,
            log_prob_threshold=LEAST_LOGPROB,
            no_speech_threshold=MOST_NO_SPEECH,
            condition_on_previous_text=False,
            without_timestamps=True,
            word_timestamps=True,
        )
        # without time tokens it would go on behind the last word and make something of the silence
        heard = list(takewhile(lambda segment: segment.seek == 0, segments))
        if not heard:
            return None
        rate_hz = SAMPLE_RATE_HZ
        return _read_decoding(list(restore_speech_timestamps(heard, parts, rate_hz)), language)

    def _begin_sampling(self) -> None:
        """Make what is drawn at random the same for each recording.

        ctranslate2 takes its seed when a model's thread first draws, and never again: from the
        second recording on, only a model opened anew draws the same. The old one goes first, so
        that there is memory for one.
        """
        ctranslate2.set_random_seed(SAMPLING_SEED)
        if self._sampled:
            self._model.model.unload_model()
            self._model.model = self._load().model
        self._sampled = True

    def _load(self) -> Any:
        return WhisperModel(
            str(self._folder),
            device=self._device,
            compute_type=self._compute_type,
            cpu_threads=self._cpu_threads,
            local_files_only=True,
        )

    @property
    def _first_time_token(self) -> int:
        """Tokens from here on say times, in Whisper's vocabulary."""
        return int(self._model.hf_tokenizer.token_to_id("<|notimestamps|>") or 0) + 1

    def _check_language(self, language: str | None) -> str | None:
        if language is None:
            return None
        code = primary_language(language)
        code = _WHISPER_CODES.get(code, code)
        if code in self._languages:
            return code
        known = ", ".join(self._languages)
        raise InputError(
            f"The Whisper model in {self._folder} does not know the language {language!r}; it "
            f"knows {known}.",
            next_step="Download one that does, `podcaster setup whisper-small`, and name it: model "
            '= "whisper-small" under [transcribe].',
        )

    def _find_languages(self) -> tuple[str, ...]:
        if not self._model.model.is_multilingual:
            return ("en",)
        known = self._model.hf_tokenizer.token_to_id
        return tuple(code for code in _LANGUAGE_CODES if known(f"<|{code}|>") is not None)

    def _check_features(self) -> None:
        """A model of 128 mel bands without its preprocessor_config.json would hear noise."""
        made = len(self._model.feature_extractor.mel_filters)
        wanted = self._model.model.n_mels
        if made != wanted:
            raise EngineError(
                f"The model in {self._folder} wants {wanted} mel bands, but its "
                f"preprocessor_config.json, or the lack of it, says {made}.",
                next_step="Put the model's own preprocessor_config.json beside model.bin.",
            )

    @contextmanager
    def _explaining(self, doing: str) -> Iterator[None]:
        """Turn what faster-whisper and ctranslate2 raise into a sentence."""
        try:
            yield
        except PodcasterError:
            raise
        except Exception as error:  # the border with other libraries
            text = (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(".")
            if isinstance(error, MemoryError) or _OUT_OF_MEMORY.search(text):
                raise EngineError(
                    f"{doing} failed for lack of memory, with batch_size {self._batch_size} and "
                    f"compute_type {self._compute_type!r}: {text}.",
                    next_step="Set a smaller batch_size under [transcribe], or compute_type = "
                    '"int8", or a smaller model.',
                ) from error
            step = None
            if "compute type" in text:
                step = 'Set compute_type = "auto" under [transcribe].'
            raise EngineError(f"{doing} failed: {text}.", next_step=step) from error


def _read_decoding(segments: Sequence[Any], language: str) -> Decoding:
    """A window's decoding out of its segments; there is at least one."""
    pieces = [piece for segment in segments for piece in segment.words or ()]
    return Decoding(
        words=tuple(_join_pieces(pieces, language)),
        compression_ratio=max(segment.compression_ratio for segment in segments),
        avg_logprob=segments[0].avg_logprob,
        no_speech_prob=segments[0].no_speech_prob,
    )


def _take_best(tries: Sequence[Decoding], tally: dict[str, Any]) -> tuple[Word, ...]:
    """The words of a window's best try without loops, counted; none where nobody speaks."""
    best = choose_decoding(tries)
    tally["windows"] += 1
    tally["replaced"] += best is not tries[0]
    if best.made_up:
        tally["dropped"] += 1
        return ()
    tally["doubtful"] += best.failed
    tally["loops_cut"] += len(best.loops)
    return cut_loops(best.words, best.loops)


def _join_pieces(pieces: Iterable[Any], language: str) -> Iterator[Word]:
    """Words as they stand between spaces: what faster-whisper split further is joined again.

    It splits `twenty-one` into ` twenty` and `-one`: a piece without a space before it goes on
    with the word before. The probability is the mean of the pieces'.
    """
    held: list[Any] = []
    spaced = primary_language(language) not in LANGUAGES_WITHOUT_SPACES
    for piece in pieces:
        if not piece.word.strip():
            continue
        if held and (not spaced or piece.word[:1].isspace()):
            yield from _make_words(held)
            held = []
        held.append(piece)
    if held:
        yield from _make_words(held)


def _make_words(pieces: Sequence[Any]) -> Iterator[Word]:
    text = "".join(piece.word for piece in pieces).split()
    start_s, end_s = float(pieces[0].start), float(pieces[-1].end)
    probability = round(float(np.mean([piece.probability for piece in pieces])), 4)
    for index, word in enumerate(text):  # more than one only where a token holds a space
        step_s = (end_s - start_s) / len(text)
        yield Word(
            text=word,
            start_s=round(max(0.0, start_s + index * step_s), 3),
            end_s=round(max(0.0, start_s + (index + 1) * step_s), 3),
            probability=min(1.0, max(0.0, probability)),
        )
