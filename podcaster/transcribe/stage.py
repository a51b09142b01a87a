"""The stage `transcribe`, without diarisation: a recording's sound becomes words with times."""

from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec
import numpy as np

from podcaster.audio import LONGEST_S, Samples, decode, probe
from podcaster.model import Transcript, Utterance
from podcaster.transcribe.engine import SAMPLE_RATE_HZ, Aligner, Transcriber

STAGE_VERSION = 2
_FIRST_GUESS_S = 600.0  # of a recording whose header does not say how long it is


def load_samples(path: Path) -> Samples:
    """A file's whole sound: float32 mono `(n_samples,)` at 16 kHz, four bytes a sample.

    It is decoded into one array, without a second copy. Raises InputError where there is no sound
    that can be read: a video without any, an empty, cut-off, encrypted or mislabelled file.
    """
    stated_s = min(probe(path).duration_s or _FIRST_GUESS_S, LONGEST_S)
    samples: Samples = np.empty(round((stated_s + 1.0) * SAMPLE_RATE_HZ), dtype=np.float32)
    count = 0
    for block in decode(path, SAMPLE_RATE_HZ, 1):
        if count + len(block) > len(samples):
            longer = np.empty(max(2 * len(samples), count + len(block)), dtype=np.float32)
            longer[:count] = samples[:count]
            samples = longer
        samples[count : count + len(block)] = block
        count += len(block)
    return samples[:count]


def transcribe_recording(
    samples: Samples,
    transcriber: Transcriber,
    aligner: Aligner | None,
    *,
    language: str | None,
    hotwords: Sequence[str],
    on_utterance: Callable[[Utterance], None] | None = None,
) -> Transcript:
    """Hear the words of float32 mono `(n_samples,)` at 16 kHz, and time them.

    `language` None: found out by listening; else it is the transcript's. `on_utterance` is told
    what is heard as it comes, before it is aligned. Raises EngineError, and InputError for a
    language that the model lacks.
    """
    heard = transcriber.listen(samples, language=language, hotwords=hotwords)
    utterances: list[Utterance] = []
    for utterance in heard.utterances:
        if not utterance.text.strip():
            continue
        utterances.append(utterance)
        if on_utterance is not None:
            on_utterance(utterance)
    told = language or heard.language
    # only now: a transcriber may count in its options while it listens
    options = {**heard.options, "language_probability": round(heard.language_probability, 4)}
    transcript = Transcript(
        language=told,
        utterances=tuple(utterances),
        engine=transcriber.id,
        duration_s=len(samples) / SAMPLE_RATE_HZ,
        options=options,
    )
    if aligner is None or not utterances:
        return transcript
    aligned = aligner.align(samples, utterances, language=told)
    return msgspec.structs.replace(
        transcript, utterances=aligned, options={**options, "aligner": aligner.id}
    )
