"""English numbers as they are said: cardinals, ordinals, years, single digits, Roman numerals."""

from functools import lru_cache

import num2words

# num2words is slow and wordy beyond; such a number is read digit by digit
LONGEST_NUMBER_DIGITS = 15
_DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")


@lru_cache(maxsize=8192)
def cardinal(digits: str) -> str:
    """Spell `1,234.5` or `007`; very long numbers and leading zeros go digit by digit."""
    whole, _, fraction = digits.replace(",", "").partition(".")
    if len(whole) > LONGEST_NUMBER_DIGITS or (len(whole) > 1 and whole[0] == "0"):
        spoken = digit_by_digit(whole)
    else:
        spoken = str(num2words.num2words(int(whole or "0"), lang="en")).replace(",", "")
    return f"{spoken} point {digit_by_digit(fraction)}" if fraction else spoken


@lru_cache(maxsize=2048)
def ordinal(digits: str) -> str:
    """Spell `21` as `twenty-first`."""
    if len(digits) > LONGEST_NUMBER_DIGITS:
        return digit_by_digit(digits)
    return str(num2words.num2words(int(digits), lang="en", to="ordinal")).replace(",", "")


@lru_cache(maxsize=2048)
def year(digits: str) -> str:
    """Spell `1984` as `nineteen eighty-four` and `2007` as `two thousand and seven`."""
    return str(num2words.num2words(int(digits), lang="en", to="year")).replace(
        "-hundred", " hundred"
    )


def digit_by_digit(digits: str) -> str:
    """Spell each digit by itself, as in telephone numbers; what is no digit is dropped."""
    return " ".join(_DIGITS[int(d)] for d in digits if d in "0123456789")


def is_year(digits: str) -> bool:
    """Whether four digits look like a year people talk about."""
    return len(digits) == 4 and digits.isdecimal() and 1010 <= int(digits) <= 2099


def roman_value(numeral: str) -> int:
    """The value of a Roman numeral in capitals."""
    values = {"I": 1, "V": 5, "X": 10, "L": 50, "C": 100}
    total = 0
    for here, following in zip(numeral, [*numeral[1:], ""], strict=True):
        value = values[here]
        total += -value if values.get(following, 0) > value else value
    return total
