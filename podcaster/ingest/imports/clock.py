"""Times as people and programs write them: `1:02:03.5`, `62:03`, `00:01:02,500`."""

import re

# for use inside patterns; `parse_clock` decides whether what it matches is a time
CLOCK = r"(?:[0-9]{1,4}:)?[0-9]{1,4}:[0-9]{2}(?:[.,][0-9]{1,6})?"

_CLOCK = re.compile(
    r"(?:(?P<h>[0-9]{1,4}):(?=[0-5]?[0-9]:))?(?P<m>[0-9]{1,4}):(?P<s>[0-5][0-9])"
    r"(?:[.,](?P<part>[0-9]{1,6}))?"
)


def parse_clock(text: str) -> float | None:
    """Seconds of `[H:]MM:SS[.fff]`, with a point or a comma; None where it is no such time."""
    match = _CLOCK.fullmatch(text)
    if match is None:
        return None
    whole = int(match["h"] or 0) * 3600 + int(match["m"]) * 60 + int(match["s"])
    part = match["part"] or ""
    scale: int = 10 ** len(part)
    # divided once, so that 61.123 comes out as the number that is written so
    return (whole * scale + int(part or 0)) / float(scale)
