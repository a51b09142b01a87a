"""Units and their spellings: timestamps, durations, decibels, bytes, words."""

import math
import re

SAMPLE_RATE_HZ = 44_100  # what is mixed and published; engines may speak at another rate

_WORD = re.compile(r"[^\W_]+(?:['’.\-][^\W_]+)*")


def count_words(text: str) -> int:
    """Count words as a reader would: "don't", "3.5" and "well-kept" are one each."""
    return len(_WORD.findall(text))


def split_words(text: str) -> list[str]:
    """Return the words of `text`, lower-cased, without punctuation."""
    return [match.group().lower() for match in _WORD.finditer(text)]


def db_to_gain(level_db: float) -> float:
    """Convert decibels to a linear amplitude factor."""
    return float(10.0 ** (level_db / 20.0))


def gain_to_db(gain: float) -> float:
    """Convert a linear amplitude factor (≥ 0) to decibels; silence is -inf."""
    return 20.0 * math.log10(gain) if gain > 0.0 else -math.inf


def format_timestamp(seconds: float, *, separator: str = ".") -> str:
    """Format as `HH:MM:SS.mmm`, the WebVTT form; SRT wants `separator=","`.

    Raises ValueError for a negative or non-finite time.
    """
    if not math.isfinite(seconds) or seconds < 0:
        raise ValueError(f"a timestamp must be finite and at least 0, got {seconds!r}")
    total_ms = round(seconds * 1000)
    total_s, ms = divmod(total_ms, 1000)
    minutes, s = divmod(total_s, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:02d}:{minutes:02d}:{s:02d}{separator}{ms:03d}"


def format_duration(seconds: float) -> str:
    """Format for people: `47 s`, `4:05`, `1:02:03`."""
    total_s = round(seconds)
    if total_s < 60:
        return f"{total_s} s"
    minutes, s = divmod(total_s, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{s:02d}" if hours else f"{minutes}:{s:02d}"


def format_bytes(count: int) -> str:
    """Format for people, in decimal units: `512 B`, `4.7 MB`, `1.9 GB`."""
    size = float(count)
    for unit in ("B", "kB", "MB"):
        if size < 1000:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} GB"
