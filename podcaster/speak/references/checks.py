"""Whether recordings are fit to be references of a voice: a plain verdict for each.

The thresholds are measured on recordings of six people, with noise, music and other people added:
docs/voices.md says how far they lie from each.
"""

from collections.abc import Sequence
from typing import Any, Literal, Protocol

import msgspec
import numpy as np
import soxr
from numpy.typing import NDArray

from podcaster.audio import Samples
from podcaster.levels import keep_voiced
from podcaster.model import Noun
from podcaster.speak.references.measures import (
    Vectors,
    estimate_words_per_minute,
    mean_print,
    measure_bandwidth_hz,
    measure_music,
    measure_snr_db,
    split_voices,
)
from podcaster.speak.references.sound import ReferenceSound

Verdict = Literal["good", "usable", "refused"]

SHORTEST_FILE_S = 2.0
USABLE_S, GOOD_S = 6.0, 15.0
USABLE_SNR_DB, GOOD_SNR_DB = 10.0, 20.0
USABLE_MUSIC, GOOD_MUSIC = 0.1, 0.005  # share of the time
USABLE_CLIPPING, GOOD_CLIPPING = 0.004, 0.0001  # share of the samples
USABLE_RATE_HZ = 8_000
GOOD_BANDWIDTH_HZ = 5_000.0  # telephones end at 3.4 kHz, or at 7
ONE_VOICE, PERHAPS_ONE_VOICE = 0.8, 0.72  # cosine of two halves' voiceprints
SAME_PERSON = 0.75  # cosine of two files' voiceprints
STRANGERS_SHARE = 0.25  # of the sound; with more of others, nobody knows whose voice it is

_PRINT_RATE_HZ = 16_000
_WINDOW_S, _STEP_S = 1.6, 0.4
_LEAST_SHARE = 0.12  # of the windows; fewer may be a cough
_RANK: dict[Verdict, int] = {"good": 0, "usable": 1, "refused": 2}


class WindowEncoder(Protocol):
    """What tells voices apart: the speaker encoder, opened."""

    def embed_windows(
        self, samples: Samples, starts_s: Sequence[float] | NDArray[Any], window_s: float = ...
    ) -> Vectors:
        """Unit vectors `(n, d)` of windows of sound at 16 kHz."""


class Finding(Noun, frozen=True):
    """One thing that was looked at; no `verdict`: it could not be checked, `text` says why."""

    check: str
    verdict: Verdict | None
    text: str
    value: float | None = None


class ReferenceCheck(Noun, frozen=True):
    """What was found out about one recording; `verdict` is the worst of its findings."""

    source: str
    duration_s: float
    verdict: Verdict
    findings: tuple[Finding, ...]

    @property
    def reason(self) -> str:
        """Why it is not good, or what was measured."""
        worst = [one for one in self.findings if one.verdict == self.verdict]
        unchecked = [one for one in self.findings if one.verdict is None]
        return "; ".join(one.text for one in (*worst, *unchecked))


class VoiceCheck(Noun, frozen=True):
    """What was found out about all recordings of a voice, and its quality as a whole.

    `words_per_minute` is an estimate from the sound.
    """

    references: tuple[ReferenceCheck, ...]
    findings: tuple[Finding, ...]
    verdict: Verdict
    words_per_minute: float


def check_references(
    sounds: Sequence[tuple[str, ReferenceSound]],
    encoder: WindowEncoder | None,
    *,
    missing: str = "",
) -> VoiceCheck:
    """Check each recording for itself, all against each other, and what is left as a whole.

    `sounds` are named by their sources. Without an `encoder` nobody knows whether there is one
    voice only, and `missing` says what to install.
    """
    prints = [_print_windows(sound, encoder) if encoder else None for _, sound in sounds]
    checks = [
        _check_sound(source, sound, vectors, missing)
        for (source, sound), vectors in zip(sounds, prints, strict=True)
    ]
    if encoder is not None:
        checks = _compare_files(checks, prints)
    kept = [
        sound
        for check, (_, sound) in zip(checks, sounds, strict=True)
        if check.verdict != "refused"
    ]
    total = _judge_length(sum(sound.duration_s for sound in kept))
    parts = [check.verdict for check in checks if check.verdict != "refused"]
    verdict = _worst([total.verdict or "good", *parts])
    return VoiceCheck(
        references=tuple(checks),
        findings=(total,),
        verdict=verdict,
        words_per_minute=_estimate_pace(kept),
    )


def refuse_source(source: str, reason: str) -> ReferenceCheck:
    """The check of a file that could not be read at all."""
    finding = Finding(check="sound", verdict="refused", text=reason)
    return ReferenceCheck(source=source, duration_s=0.0, verdict="refused", findings=(finding,))


def _check_sound(
    source: str, sound: ReferenceSound, prints: Vectors | None, missing: str
) -> ReferenceCheck:
    if sound.duration_s < SHORTEST_FILE_S:
        text = (
            f"{sound.duration_s:.1f} s of speech in {sound.heard_s:.1f} s, at least 2 s are needed"
        )
        findings = [Finding(check="length", verdict="refused", text=text, value=sound.duration_s)]
    else:
        findings = [
            _describe_length(sound),
            _judge_snr(measure_snr_db(sound.kept, sound.rate_hz)),
            _judge_clipping(sound.clipping),
            _judge_music(measure_music(sound.kept, sound.rate_hz)),
            _judge_bandwidth(measure_bandwidth_hz(sound.kept, sound.rate_hz), sound.rate_hz),
            _judge_voices(prints, missing),
        ]
    return ReferenceCheck(
        source=source,
        duration_s=round(sound.duration_s, 2),
        verdict=_worst([one.verdict for one in findings if one.verdict]),
        findings=tuple(findings),
    )


def _describe_length(sound: ReferenceSound) -> Finding:
    text = f"{sound.duration_s:.1f} s" + (" kept of a longer file" if sound.bounded else "")
    return Finding(check="length", verdict="good", text=text, value=round(sound.duration_s, 2))


def _judge_length(seconds: float) -> Finding:
    verdict = _grade(seconds >= GOOD_S, seconds >= USABLE_S)
    hint = {
        "good": "",
        "usable": ", 15 s or more are better",
        "refused": ", at least 6 s are needed",
    }[verdict]
    text = f"{seconds:.1f} s in all{hint}"
    return Finding(check="total", verdict=verdict, text=text, value=round(seconds, 2))


def _judge_snr(snr_db: float) -> Finding:
    verdict = _grade(snr_db >= GOOD_SNR_DB, snr_db >= USABLE_SNR_DB)
    hint = {
        "good": "",
        "usable": ", 20 dB or more are better",
        "refused": ", at least 10 dB are needed: record in a quieter room",
    }[verdict]
    text = f"speech {snr_db:.0f} dB over the noise{hint}"
    return Finding(check="noise", verdict=verdict, text=text, value=snr_db)


def _judge_clipping(share: float) -> Finding:
    verdict = _grade(share <= GOOD_CLIPPING, share <= USABLE_CLIPPING)
    hint = "" if verdict == "good" else ": record it with less gain"
    text = f"{share:.2%} clipped{hint}"
    return Finding(check="clipping", verdict=verdict, text=text, value=round(share, 6))


def _judge_music(share: float) -> Finding:
    verdict = _grade(share <= GOOD_MUSIC, share <= USABLE_MUSIC)
    text = {
        "good": "no music",
        "usable": f"perhaps music: tones are held for {share:.0%} of the time",
        "refused": f"music: tones are held for {share:.0%} of the time",
    }[verdict]
    return Finding(check="music", verdict=verdict, text=text, value=round(share, 4))


def _judge_bandwidth(bandwidth_hz: float, rate_hz: int) -> Finding:
    verdict = _grade(bandwidth_hz >= GOOD_BANDWIDTH_HZ, rate_hz >= USABLE_RATE_HZ)
    hint = "" if verdict == "good" else ", as over a telephone; 5 kHz or more are better"
    text = f"sound up to {bandwidth_hz / 1000:.1f} kHz{hint}"
    return Finding(check="bandwidth", verdict=verdict, text=text, value=round(bandwidth_hz))


def _judge_voices(prints: Vectors | None, missing: str) -> Finding:
    if prints is None:
        return Finding(check="voices", verdict=None, text=f"not checked for one voice: {missing}")
    alike, share = split_voices(prints)
    verdict = _grade(
        alike >= ONE_VOICE or len(prints) * share < 2,
        alike >= PERHAPS_ONE_VOICE or share < _LEAST_SHARE,
    )
    text = {
        "good": f"one voice ({alike:.2f})",
        "usable": f"perhaps a second voice ({alike:.2f}, one has {ONE_VOICE} or more)",
        "refused": f"two voices ({alike:.2f}, one has {ONE_VOICE} or more): "
        "cut out what the other says",
    }[verdict]
    return Finding(check="voices", verdict=verdict, text=text, value=round(alike, 3))


def _print_windows(sound: ReferenceSound, encoder: WindowEncoder) -> Vectors:
    samples = np.asarray(soxr.resample(sound.kept, sound.rate_hz, _PRINT_RATE_HZ), dtype=np.float32)
    voiced = keep_voiced(samples, _PRINT_RATE_HZ)
    count = max(1, int((len(voiced) / _PRINT_RATE_HZ - _WINDOW_S) / _STEP_S) + 1)
    return encoder.embed_windows(voiced, np.arange(count) * _STEP_S)


def _compare_files(
    checks: Sequence[ReferenceCheck], prints: Sequence[Vectors | None]
) -> list[ReferenceCheck]:
    """Refuse what sounds like somebody else than most of the other files that are fit."""
    means = {
        i: mean_print(vectors)
        for i, (check, vectors) in enumerate(zip(checks, prints, strict=True))
        if check.verdict != "refused" and vectors is not None
    }
    alike = {i: {j: float(mean @ other) for j, other in means.items()} for i, mean in means.items()}
    # the person is who has most of the sound within reach
    reach = {
        i: sum(checks[j].duration_s for j, cosine in row.items() if cosine >= SAME_PERSON)
        for i, row in alike.items()
    }
    if not means:
        return list(checks)
    person = max(reach, key=lambda i: reach[i])
    strangers = {i: row[person] for i, row in alike.items() if row[person] < SAME_PERSON}
    compared = list(checks)
    for i, cosine in strangers.items():
        text = f"another person than in {checks[person].source} ({cosine:.2f})"
        compared[i] = _refuse(checks[i], text, cosine)
    strange_s = sum(checks[i].duration_s for i in strangers)
    if strange_s >= STRANGERS_SHARE * sum(checks[i].duration_s for i in means):
        text = f"{strange_s:.0f} s of the other recordings are somebody else's: give one person's"
        for i in means.keys() - strangers.keys():
            compared[i] = _refuse(checks[i], text, None)
    return compared


def _refuse(check: ReferenceCheck, text: str, value: float | None) -> ReferenceCheck:
    rounded = None if value is None else round(value, 3)
    finding = Finding(check="person", verdict="refused", text=text, value=rounded)
    return msgspec.structs.replace(check, verdict="refused", findings=(*check.findings, finding))


def _estimate_pace(sounds: Sequence[ReferenceSound]) -> float:
    seconds = sum(sound.duration_s for sound in sounds)
    if not seconds:
        return 0.0
    words = sum(
        estimate_words_per_minute(sound.kept, sound.rate_hz) * sound.duration_s for sound in sounds
    )
    return round(words / seconds, 1)


def _grade(good: bool, usable: bool) -> Verdict:
    return "good" if good else "usable" if usable else "refused"


def _worst(verdicts: Sequence[Verdict]) -> Verdict:
    return max(verdicts, key=lambda verdict: _RANK[verdict], default="refused")
