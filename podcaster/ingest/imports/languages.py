"""What transcripts call their language, as a tag: `EN_us` → `en-US`, `English` → `en`."""

import re

# the names by which Whisper programs print the languages that they detect most often
_NAMES = """
afrikaans af arabic ar bengali bn bulgarian bg cantonese yue catalan ca chinese zh croatian hr
czech cs danish da dutch nl english en estonian et finnish fi french fr galician gl german de
greek el hebrew he hindi hi hungarian hu icelandic is indonesian id italian it japanese ja
korean ko latvian lv lithuanian lt malay ms mandarin zh norwegian no persian fa polish pl
portuguese pt romanian ro russian ru serbian sr slovak sk slovenian sl spanish es swahili sw
swedish sv tagalog tl tamil ta thai th turkish tr ukrainian uk urdu ur vietnamese vi welsh cy
"""
_BY_NAME = dict(zip(_NAMES.split()[::2], _NAMES.split()[1::2], strict=True))
_TAG = re.compile(r"([A-Za-z]{2,3})((?:[-_][A-Za-z0-9]{2,8}){0,4})")


def as_language(text: str) -> str | None:
    """Return the language tag for a tag or an English name, None where it is neither."""
    text = text.strip()
    if named := _BY_NAME.get(text.lower()):
        return named
    match = _TAG.fullmatch(text)
    if match is None:
        return None
    region = match[2].replace("_", "-")
    return match[1].lower() + (region.upper() if len(region) == 3 else region)
