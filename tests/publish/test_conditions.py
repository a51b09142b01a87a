from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from podcaster.publish.conditions import (
    Unsatisfiable,
    format_date,
    is_unchanged,
    may_continue,
    parse_range,
)

TAG = '"abc"'
NOW = datetime(2026, 11, 20, 12, 0, 30, 250_000, tzinfo=UTC)
DATE = "Fri, 20 Nov 2026 12:00:30 GMT"
BEFORE = "Fri, 20 Nov 2026 12:00:29 GMT"


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (None, None),
        ("bytes=0-", (0, 1000)),
        ("bytes=0-0", (0, 1)),
        ("bytes=10-19", (10, 20)),
        ("Bytes=10-19", (10, 20)),
        ("bytes=990-5000", (990, 1000)),
        ("bytes=-100", (900, 1000)),
        ("bytes=-5000", (0, 1000)),
        ("bytes= 5-6 ", (5, 7)),
        # several that join are one; others are answered with everything
        ("bytes=0-99,100-199", (0, 200)),
        ("bytes=50-149, 0-99", (0, 150)),
        ("bytes=0-9,20-29", None),
        ("bytes=0-9,5000-", (0, 10)),
        # what cannot be read is ignored
        ("bytes=", None),
        ("bytes=-", None),
        ("bytes=9-5", None),
        ("bytes=a-b", None),
        ("bytes=1-2-3", None),
        ("bytes=+1-2", None),
        ("bytes=١-٢", None),
        ("items=0-5", None),
        ("bytes=" + "0-1," * 100 + "0-1", None),
        ("bytes=" + "9" * 400 + "-", None),
    ],
)
def test_ranges(header: str | None, expected: tuple[int, int] | None) -> None:
    assert parse_range(header, 1000) == expected


@pytest.mark.parametrize(
    "header", ["bytes=1000-", "bytes=1000-1001", "bytes=-0", "bytes=2000-,3000-"]
)
def test_ranges_beyond_the_end_cannot_be_satisfied(header: str) -> None:
    with pytest.raises(Unsatisfiable):
        parse_range(header, 1000)


@given(st.text(st.sampled_from("0123456789-, =bytes"), max_size=40), st.integers(0, 200))
def test_a_range_is_never_outside_the_file(text: str, size: int) -> None:
    try:
        span = parse_range(f"bytes={text}", size)
    except Unsatisfiable:
        return
    if span is not None:
        assert 0 <= span[0] < span[1] <= size


@pytest.mark.parametrize(
    ("none_match", "since", "expected"),
    [
        (None, None, False),
        (TAG, None, True),
        ('W/"abc"', None, True),
        ('"x", "abc"', None, True),
        ('"x",W/"abc" ,"y"', None, True),
        ("*", None, True),
        ('"x"', None, False),
        ("abc", None, False),
        ("", None, False),
        (None, DATE, True),
        (None, BEFORE, False),
        (None, "Fri, 20 Nov 2037 12:00:30 GMT", True),
        (None, "yesterday", False),
        # the tag decides, whatever the date says
        ('"x"', DATE, False),
        (TAG, BEFORE, True),
    ],
)
def test_conditions(none_match: str | None, since: str | None, expected: bool) -> None:
    assert is_unchanged(TAG, NOW, none_match, since) is expected


@pytest.mark.parametrize(
    ("if_range", "expected"),
    [(None, True), (TAG, True), ('"x"', False), ('W/"abc"', False), (DATE, True),
     (BEFORE, False), ("Fri, 20 Nov 2037 12:00:30 GMT", False), ("soon", False)],
)  # fmt: skip
def test_a_part_goes_on_only_from_the_same_file(if_range: str | None, expected: bool) -> None:
    assert may_continue(TAG, NOW, if_range) is expected


def test_dates_are_written_as_http_has_them() -> None:
    assert format_date(NOW) == DATE
