"""What a person says of a voice that is to be added, checked before anything is done."""

import re
from dataclasses import dataclass
from datetime import date
from typing import get_args

from podcaster.errors import ConfigError
from podcaster.model import Consent, ConsentKind, slugify

LEAST_WPM, MOST_WPM = 40.0, 400.0

_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
_LANGUAGE = re.compile(r"[a-z]{2,3}(-[A-Za-z0-9]{2,8})*")
_LONGEST_TEXT = 500


@dataclass(frozen=True)
class Request:
    """A voice that is to be added. What is empty gets a sensible content.

    `words_per_minute` None: estimated from the sound; `pace_source` says where it is from.
    `replace` lets the voice take the place of another.
    """

    name: str
    consent: Consent
    languages: tuple[str, ...] = ()
    description: str = ""
    licence: str = ""
    words_per_minute: float | None = None
    pace_source: str = "given"
    replace: bool = False


def make_consent(
    kind: str | None, by: str | None, on: str | None = None, proof: str | None = None
) -> Consent:
    """A consent that says everything it must. Raises ConfigError that says what to type.

    `on` is today where nothing is said. `proof` may be left out by who records their own voice.
    """
    kinds = get_args(ConsentKind)
    if kind not in kinds:
        told = "is missing" if not kind else f"{kind[:40]!r} is none of these"
        raise ConfigError(
            f"Somebody's voice is only cloned with a consent, and --consent {told}: "
            f"{', '.join(kinds)}.",
            next_step='Type for example: --consent written --by "Kim Example" --proof consent.pdf',
        )
    today = date.today().isoformat()
    given = _read_day(on, today)
    who, where = _clean(by, "--by"), _clean(proof, "--proof")
    if not who:
        raise ConfigError(
            "The consent does not say who gave it: --by is missing.",
            next_step=f'Type --consent {kind} --by "Kim Example"'
            + ("." if kind == "self" else " --proof consent.pdf."),
        )
    if not where and kind == "self":
        where = f"the speaker's own statement to `podcaster voice add` on {today}"
    if not where:
        raise ConfigError(
            f"A consent of the kind {kind!r} needs a proof: --proof is missing.",
            next_step="Say where it lies: a file, an address, a contract, as in "
            f'--consent {kind} --by "{who}" --proof consent.pdf.',
        )
    return Consent(kind=kind, by=who, on=given, proof=where)  # type: ignore[arg-type]


def check_name(name: str) -> None:
    """Raise ConfigError for what cannot be a voice's name."""
    if not _NAME.fullmatch(name):
        raise ConfigError(
            f"{name[:60]!r} cannot be the name of a voice: expected 1 to 64 of a-z, 0-9, - and _.",
            next_step=f"Type for example {slugify(name, fallback='kim', longest=64)}.",
        )


def check_request(request: Request) -> None:
    """Raise ConfigError for a name, a language, a text or a pace that cannot be."""
    check_name(request.name)
    for language in request.languages:
        if not _LANGUAGE.fullmatch(language):
            raise ConfigError(
                f"--language {language[:40]!r} is no code of a language.",
                next_step="Type en, de or pt-BR.",
            )
    _clean(request.description, "--description")
    _clean(request.licence, "--licence")
    pace = request.words_per_minute
    if pace is not None and not LEAST_WPM <= pace <= MOST_WPM:
        raise ConfigError(
            f"--wpm {pace:g} is no pace of speech: expected 40 to 400 words a minute."
        )


def _read_day(on: str | None, today: str) -> str:
    day = _clean(on, "--on") or today
    try:
        given = date.fromisoformat(day).isoformat()
    except ValueError:
        given = ""
    if not given or given > today:
        raise ConfigError(
            f"--on {day[:40]!r} is no day on which the consent was given.",
            next_step=f"Type it as in --on {today}.",
        )
    return given


def _clean(text: str | None, option: str) -> str:
    plain = (text or "").strip()
    if len(plain) > _LONGEST_TEXT or not plain.isprintable():
        raise ConfigError(
            f"{option} is {len(plain)} characters long or has some that cannot be printed, "
            f"expected one line of at most {_LONGEST_TEXT}."
        )
    return plain
