"""English written text to English spoken text: the rules, in the order in which they apply."""

import re
from collections.abc import Callable

from podcaster.speak.english_numbers import (
    cardinal,
    digit_by_digit,
    is_year,
    ordinal,
    roman_value,
    year,
)
from podcaster.speak.english_words import (
    ABBREVIATIONS,
    COUNTED,
    CURRENCIES,
    MONTHS,
    NOT_COUNTED,
    REGNAL_NAMES,
    SHOUTED_WORDS,
    SPOKEN_ACRONYMS,
    SYMBOLS,
    UNITS,
)

_DIGIT = re.compile(r"[0-9½¼¾⅓⅔⅛]")
_FRACTIONS = {"½": "1/2", "¼": "1/4", "¾": "3/4", "⅓": "1/3", "⅔": "2/3", "⅛": "1/8"}
_SCALES = {"k": "thousand", "m": "million", "mn": "million", "b": "billion", "bn": "billion"}
_SCALES |= {"t": "trillion", "tn": "trillion"}
_SCALES |= {word: word for word in ("hundred", "thousand", "million", "billion", "trillion")}

_N = r"\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d+(?:\.\d+)?"
_MONTH = "|".join(sorted((re.escape(m) for m in MONTHS), key=len, reverse=True))
_UNIT = "|".join(sorted((re.escape(u) for u in UNITS), key=len, reverse=True))
_SCALE = "hundred|thousand|million|billion|trillion|mn|bn|tn|k|m|b|t"
_MONEY_SIGN = "|".join(sorted((re.escape(c) for c in CURRENCIES), key=len, reverse=True))
_ABBREVIATION = "|".join(sorted((re.escape(a) for a in ABBREVIATIONS), key=len, reverse=True))


def spell_english(text: str) -> str:
    """Spell a cleaned English text as it is said; plain words pass through unchanged."""
    text = _calm(text)
    for pattern, rule in _FIRST_RULES:
        text = pattern.sub(rule, text)
    # most sentences have no digit, and spelling them must cost next to nothing
    if _DIGIT.search(text):
        for pattern, rule in _NUMBER_RULES:
            text = pattern.sub(rule, text)
    for pattern, rule in _LAST_RULES:
        text = pattern.sub(rule, text)
    return text


def _as_written(sound: str, match: re.Match[str]) -> str:
    return sound.capitalize() if match[0][0].isupper() else sound


def _plural(word: str) -> str:
    if word.endswith("y"):
        return word[:-1] + "ies"
    return word + ("es" if word.endswith(("x", "s")) else "s")


def _url(match: re.Match[str]) -> str:
    address = re.sub(r"^(?:https?://)?(?:www\.)?", "", match["url"], flags=re.I)
    host, _, path = re.split(r"[?#]", address, maxsplit=1)[0].partition("/")
    spoken = host.replace("-", " dash ").replace(".", " dot ").replace(":", " port ")
    parts = [part for part in path.split("/") if part]
    # a long path is for reading, not for listening
    if parts and len(path) <= 24:
        words = (re.sub(r"[-_.%+]+", " ", part).strip() for part in parts)
        spoken += "".join(f" slash {part}" for part in words if part)
    return spoken


def _email(match: re.Match[str]) -> str:
    spoken = match[0].replace("@", " at ").replace(".", " dot ").replace("_", " underscore ")
    return spoken.replace("-", " dash ").replace("+", " plus ")


def _money(match: re.Match[str]) -> str:
    one, many, cent = CURRENCIES[match["sign"].upper()]
    number, scale = match["n"].replace(",", ""), _SCALES.get((match["scale"] or "").lower(), "")
    article = match["a"] or ""
    # "a $5 bill", "a $3 million house", but "$5 bills" and "I paid $5 for it"
    measures = match["joined"] is not None or (article and match["thing"] is not None)
    if match["to"] or scale or measures:
        spoken = cardinal(number) + (f" to {cardinal(match['to'])}" if match["to"] else "")
        return f"{article}{spoken}{' ' * bool(scale)}{scale} {one if measures else many}"
    whole, _, fraction = number.partition(".")
    unit = one if whole == "1" else many
    if len(fraction) != 2 or not cent:
        return f"{article}{cardinal(number)} {many if fraction else unit}"
    coins = f"{cardinal(str(int(fraction)))} {cent if fraction == '01' else _cents(cent)}"
    if int(fraction) == 0:
        return f"{article}{cardinal(whole)} {unit}"
    return article + (coins if int(whole) == 0 else f"{cardinal(whole)} {unit} and {coins}")


def _cents(cent: str) -> str:
    return "pence" if cent == "penny" else _plural(cent)


def _money_after(match: re.Match[str]) -> str:
    one, many, _ = CURRENCIES[match["sign"].upper()]
    return f"{cardinal(match['n'])} {one if match['n'] == '1' else many}"


def _time(match: re.Match[str]) -> str:
    hour, minute, half = int(match["h"]), match["m"], match["half"]
    if hour > 24 or (minute and int(minute) > 59):
        return match[0]
    spoken = cardinal(str(hour))
    if minute and minute != "00":
        spoken += f" oh {cardinal(minute[1])}" if minute[0] == "0" else f" {cardinal(minute)}"
    elif minute and not half:
        spoken += " o'clock" if 1 <= hour <= 12 else " hundred"
    if match["s"]:
        spoken += f" and {cardinal(str(int(match['s'])))} seconds"
    return f"{spoken} {half[0].upper()}.M." if half else spoken


def _date_month_first(match: re.Match[str]) -> str:
    spoken = f"{MONTHS[match['month'].lower()]} {ordinal(match['day'])}"
    return f"{spoken}, {year(match['year'])}" if match["year"] else spoken


def _date_day_first(match: re.Match[str]) -> str:
    spoken = f"the {ordinal(match['day'])} of {MONTHS[match['month'].lower()]}"
    if match["the"]:
        spoken = spoken.removeprefix("the ")
        spoken = match["the"] + spoken
    return f"{spoken}, {year(match['year'])}" if match["year"] else spoken


def _month_year(match: re.Match[str]) -> str:
    return f"{MONTHS[match['month'].lower()]} {year(match['year'])}"


def _date_iso(match: re.Match[str]) -> str:
    month, day = int(match["month"]), int(match["day"])
    if not (1 <= month <= 12 and 1 <= day <= 31):
        return match[0]
    names = list(dict.fromkeys(MONTHS.values()))
    return f"{names[month - 1]} {ordinal(str(day))}, {year(match['year'])}"


def _decade(match: re.Match[str]) -> str:
    century, tens = match["century"], match["tens"]
    if tens == "0":
        if century is None:
            return "two thousands"
        return f"{year(century + '00')}s" if century[-1] != "0" else f"{cardinal(century + '00')}s"
    spoken = _plural(cardinal(tens + "0"))
    return f"{cardinal(century)} {spoken}" if century else spoken


def _range(match: re.Match[str]) -> str:
    low, high, unit = match["low"], match["high"], match["unit"]
    if not unit and is_year(low) and is_year(high):
        return f"{year(low)} to {year(high)}"
    if not unit and is_year(low) and len(high) == 2 and int(high) > int(low[2:]):
        return f"{year(low)} to {year(low[:2] + high)}"
    spoken = f"{cardinal(low)} to {cardinal(high)}"
    if unit:
        spoken += " percent" if unit == "%" else f" {UNITS[unit][1]}"
    return spoken


def _fraction(match: re.Match[str]) -> str:
    top, bottom, whole = int(match["top"]), int(match["bottom"]), match["whole"]
    if not 0 < top < bottom or bottom > 100:
        return f"{match['whole'] or ''}{cardinal(match['top'])} over {cardinal(match['bottom'])}"
    if bottom == 2:
        part = "half" if top == 1 else "halves"
    elif bottom == 4:
        part = "quarter"
    else:
        part = ordinal(str(bottom))
    part += "s" if top > 1 and bottom != 2 else ""
    if whole:
        count = ("an" if bottom in (8, 11) else "a") if top == 1 else cardinal(str(top))
        return f"{cardinal(whole.strip())} and {count} {part}"
    return f"{cardinal(str(top))} {part}"


def _with_unit(match: re.Match[str]) -> str:
    one, many = UNITS[match["unit"]]
    return f"{_signed(match)} {one if match['n'] == '1' else many}"


def _signed(match: re.Match[str]) -> str:
    return f"{'minus ' if match['minus'] else ''}{cardinal(match['n'])}"


def _percent(match: re.Match[str]) -> str:
    return f"{_signed(match)} percent"


def _number(match: re.Match[str]) -> str:
    digits, after = match["n"], match["after"]
    if not match["minus"] and is_year(digits) and not _counts_things(after):
        return year(digits)
    return _signed(match)


def _counts_things(after: str | None) -> bool:
    # "2024 people", "1500 years": a plural follows; "in 2024 was" and "in 1999, birds" do not
    word = (after or "").strip().lower()
    return word in COUNTED or (len(word) > 3 and word.endswith("s") and word not in NOT_COUNTED)


def _regnal(match: re.Match[str]) -> str:
    return f"{match['name']} the {ordinal(str(roman_value(match['roman']))).capitalize()}"


def _numbered(match: re.Match[str]) -> str:
    return f"{match['name']} {cardinal(str(roman_value(match['roman'])))}"


def _phone(match: re.Match[str]) -> str:
    groups = re.findall(r"\d+", match[0])
    plus = "plus " if match[0].lstrip().startswith("+") else ""
    return plus + ", ".join(digit_by_digit(group) for group in groups)


def _abbreviation(match: re.Match[str]) -> str:
    spoken = ABBREVIATIONS[match["short"]]
    # the stop of an abbreviation at the end is the sentence's, too
    return spoken + "." if match["short"].endswith(".") and not match["rest"].strip() else spoken


def _version(match: re.Match[str]) -> str:
    return " point ".join(cardinal(part) for part in match[0].split("."))


def _with_letters(match: re.Match[str]) -> str:
    # F-16, COVID-19, MP3, 5G, B2B: the letters by themselves, the numbers by themselves
    parts = re.findall(r"\d+|[^\W\d_]+", match[0])
    said = (year(p) if is_year(p) else cardinal(p) if p.isdecimal() else p for p in parts)
    return " ".join(said)


def _initials(match: re.Match[str]) -> str:
    return re.sub(r"\s+", "", match[0].rstrip()) + " "


def _capitals(match: re.Match[str]) -> str:
    word, tail, stop = match["word"], match["tail"] or "", match["stop"]
    if word in SPOKEN_ACRONYMS:
        return word.capitalize() + tail + stop
    if word in SHOUTED_WORDS or _is_pronounceable(word):
        return word.lower() + tail + stop
    spelled = ".".join(word) + "."
    return f"{spelled[:-1]}'s{stop}" if tail else spelled


def _is_pronounceable(word: str) -> bool:
    # long enough to be a word, with vowels, and without what no English word has
    return (
        len(word) > 4
        and re.search(r"[AEIOUY]", word) is not None
        and not re.search(r"[^AEIOUY]{4}|^[^AEIOUY]{3}|^[BCDFGKMPTVX][BCDFGKMNPTVXZ]", word)
    )


def _calm(text: str) -> str:
    """Lower a text that is shouted as a whole, or every word of it would be spelled."""
    words = re.findall(r"[A-Za-z]{2,}", text)
    shouted = [word for word in words if word.isupper()]
    real = sum(word in SHOUTED_WORDS or _is_pronounceable(word) for word in shouted)
    if real >= 3 and len(shouted) > 0.7 * len(words):
        return text.capitalize()
    return text


def _symbol(match: re.Match[str]) -> str:
    return f" {SYMBOLS[match[0]]} "


_YEAR = r"(?P<year>1[0-9]{3}|20[0-9]{2})"
_DAY = r"(?P<day>[0-3]?\d)(?:st|nd|rd|th)?"
_NUMBERED_NAME = (
    r"(?P<name>War|Wars|Part|Chapter|Volume|Act|Phase|Type|Title|Book|Section|Rocky|Bowl)"
)
# "I" by itself is a pronoun: "Peter I think is right"
_ROMAN = r"(?P<roman>(?!I\b)(?=[IVXL]+\b)(?:XL|L?X{0,3})(?:IX|IV|V?I{0,3})(?<=[IVXL]))"
_MINUS = r"(?P<minus>(?<![\w.)])-)?"

_Rule = str | Callable[[re.Match[str]], str]


def _compile(*rules: tuple[str, _Rule]) -> tuple[tuple[re.Pattern[str], _Rule], ...]:
    return tuple((re.compile(pattern), rule) for pattern, rule in rules)


_FIRST_RULES = _compile(
    # sounds, which engines would spell letter by letter
    (r"\b[Mm]+-?hu?m+\b", lambda match: _as_written("um-hum", match)),
    (r"\b[Hh]m\b", lambda match: _as_written("hum", match)),
    (r"[\w.+-]{1,64}@[A-Za-z0-9-]{1,63}(?:\.[A-Za-z0-9-]{1,63}){0,4}\.[A-Za-z]{2,}\b", _email),
    (
        r"(?P<url>\bhttps?://[^\s,;()]+[\w/]|\bwww\.[^\s,;()]+[\w/]"
        r"|\b[\w-]{1,63}(?:\.[\w-]{1,63}){0,4}"
        r"\.(?:com|org|net|io|dev|fm|gov|edu|ai|app|co\.uk|de|eu)\b(?:/[^\s,;()]*\w)?)",
        _url,
    ),
    (r"(?<![\w@])@(?=\w)", "at "),
    (r"(?<!\w)#(?=\d)", "number "),
    (r"(?<!\w)#(?=\w)", "hashtag "),
    (r"\bC#", "C sharp"),
    (r"\b(\w)\+\+", r"\1 plus plus"),
    (r"\bSt\.\s+(?=[A-Z])", "Saint "),
    (r"(?<=[a-z]) St\.", " Street"),
)
_NUMBER_RULES = _compile(
    (r"\bNos?\. ?(?=\d)", "number "),
    (r"\b24/7\b", "twenty-four seven"),
    (r"\b9/11\b", "nine eleven"),
    (r"\b50/50\b", "fifty fifty"),
    # money
    (
        rf"(?P<a>\b[Aa]n?\s)?(?P<sign>{_MONEY_SIGN})\s?(?P<n>{_N})"
        rf"(?:\s?[-–]\s?(?:{_MONEY_SIGN})?(?P<to>{_N}))?"
        rf"(?:(?P<joined>-)?\s?(?P<scale>(?i:{_SCALE}))\b)?(?P<thing>(?=[ -][a-z]))?",
        _money,
    ),
    (rf"(?P<n>{_N})\s?(?P<sign>[€£¥₹]|(?:USD|EUR|GBP|CHF)\b)", _money_after),
    # times and dates
    (
        r"\b(?P<h>\d{1,2}):(?P<m>\d{2})(?::(?P<s>\d{2}))?(?![\d:])"
        r"(?:\s?(?P<half>[aApP](?:\.[mM]\.|[mM]\b)))?",
        _time,
    ),
    (r"\b(?P<h>\d{1,2})(?P<m>)(?P<s>)\s?(?P<half>[aApP](?:\.[mM]\.|[mM]\b))", _time),
    (rf"\b{_YEAR}-(?P<month>[01]\d)-(?P<day>[0-3]\d)\b", _date_iso),
    (rf"\b(?P<month>(?i:{_MONTH})) {_DAY}\b(?!:)(?:,? {_YEAR}\b)?", _date_month_first),
    (
        rf"\b(?P<the>the )?{_DAY}(?: of)? (?P<month>(?i:{_MONTH}))(?!\w)(?:,? {_YEAR}\b)?",
        _date_day_first,
    ),
    (rf"\b(?P<month>(?i:{_MONTH})),? {_YEAR}\b", _month_year),
    (r"'?(?<!\d)(?P<century>1\d|20)?(?P<tens>\d)0'?s\b", _decade),
    # counted and measured things
    (r"[½¼¾⅓⅔⅛]", lambda m: f" {_FRACTIONS[m[0]]}"),
    (
        r"(?<![\w/.-])(?P<whole>\d+\s+)?(?P<top>\d{1,3})/(?P<bottom>\d{1,3})(?![\w/])",
        _fraction,
    ),
    (r"(?<!\w)(?:\+\d{1,3}[ -]?)?(?:\(\d{3}\) ?|\d{3}[ .-])\d{3}[ .-]\d{4}\b", _phone),
    (r"(?<!\w)\+\d{1,3}(?:[ -]\d{2,5}){2,4}\b|\b\d{3}-\d{4}\b", _phone),
    (
        rf"(?<![\w.-])(?P<low>{_N})(?:%|\s?°)?\s?[-–]\s?(?P<high>{_N})"
        rf"(?:\s?(?P<unit>%|(?:{_UNIT})(?![\w])))?(?![\w-])",
        _range,
    ),
    (rf"{_MINUS}\b(?P<n>{_N})\s?%", _percent),
    (rf"{_MINUS}\b(?P<n>{_N})[ -]?(?P<unit>{_UNIT})(?![\w])", _with_unit),
    (r"\b(?P<n>\d{1,15})(?:st|nd|rd|th)\b", lambda m: ordinal(m["n"])),
    (r"\b\d+(?:\.\d+){2,}\b", _version),
    (r"\b(?:[^\W\d_]+-?\d+|\d+[^\W\d_]+)[^\W_]*\b(?![.,]\d)", _with_letters),
    (r"(?<=\d):(?=\d)", " to "),
    (r"(?<![\w.])\.(?=\d)", "point "),
    (rf"{_MINUS}(?<![\w.])(?P<n>{_N})(?=(?P<after>\s+[a-z]+\b)?)", _number),
    # any digits that a rule has left, between letters or stops
    (r"[0-9]+", lambda m: cardinal(m[0])),
)
_LAST_RULES = _compile(
    (rf"\b(?P<name>{'|'.join(REGNAL_NAMES)}) {_ROMAN}\b(?!')", _regnal),
    (r"\bWorld War I\b", "World War one"),
    (rf"\b{_NUMBERED_NAME} {_ROMAN}\b(?!')", _numbered),
    (r"\b(?:[A-Z]\.\s+){2,}(?=[A-Z])", _initials),
    (rf"(?<![\w.])(?P<short>{_ABBREVIATION})(?!\w)(?=(?P<rest>\s*\S?))", _abbreviation),
    (r"\b(?P<word>[A-Z]{2,})(?P<tail>'?s)?\b(?!\.[A-Z])(?<!\.[A-Z])(?P<stop>\.?)", _capitals),
    (r"\band/or\b", "and or"),
    (r"(?<=[A-Za-z])/(?=[A-Za-z])", " or "),
    ("[" + re.escape("".join(SYMBOLS)) + "]", _symbol),
)
