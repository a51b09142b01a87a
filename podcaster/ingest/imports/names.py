"""What can be the name of a speaker before a colon, and what is only a word."""

import re

# up to five words on one line: `Ann Smith`, `Dr. Ann Smith`, `SPEAKER_00`, `O'Neil`, `ann42`
NAME = r"[^\W_][\w.'’&-]{0,30}(?: (?![0-9]{1,4}:[0-9])[\w.'’&-]{1,30}){0,4}"

_NEVER = re.compile(
    r"(?:slides?|tweets?|location|notes?|nota bene|topics?|links?|parts?|transcripts?|videos?"
    r"|sources?|date|titles?|edit|papers?|repo|code|example|agenda|references?|summary|warning"
    r"|github|problem|solution|steps?|figure|update|also|see|podcast|website|blog|theorem|today"
    r"|first|second|third|so|and|but|or|the|this|that|then|now|yes|no|ok|okay|well|option|time"
    r"|chat|chapters?|sponsors?|announcement|speakers|hosts?|guests?|pros?|cons?|https?|disclaimer"
    r"|remember|because|why|what|how|when|where|who|look|here|there|it|is|i|we|you|he|she|they"
    r"|p\.?s|duration|language|kind|description|episode|published|tags|media|resources|papers)",
    re.IGNORECASE,
)
_PARTICLES = {"van", "von", "der", "de", "la", "di", "del", "da", "dos", "el", "al", "bin", "of"}


def is_name(label: str) -> bool:
    """Whether every word is capitalised, as in a name, and it is no word that texts begin with."""
    words = label.split()
    capitalised = all(w in _PARTICLES or not w[0].isalpha() or not w[0].islower() for w in words)
    return capitalised and not words[0].isdigit() and not is_word(label)


def is_word(label: str) -> bool:
    """Whether the label is a word such as `Note`, which nobody is called."""
    return _NEVER.fullmatch(label) is not None
