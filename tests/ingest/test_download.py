"""Downloads from a real server on loopback that misbehaves on purpose."""

import hashlib
import random
import resource
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from podcaster.errors import InputError, RunError
from podcaster.ingest.download import Download, fetch_file, find_twin
from podcaster.ingest.patience import Patience, parse_retry_after

BODY = b"ID3" + random.Random(7).randbytes(300_000)
SHA256 = hashlib.sha256(BODY).hexdigest()
ETAG = '"one"'


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: "Site"

    def do_GET(self) -> None:
        self.server.requests.append(dict(self.headers))
        answers = self.server.answers
        answer = answers.pop(0) if len(answers) > 1 else answers[0]
        with suppress(OSError):  # the client may have had enough
            answer(self)

    def log_message(self, *arguments: Any) -> None:
        pass


Answer = Callable[[Handler], None]


class Site(ThreadingHTTPServer):
    """`answers` are given in turn, the last of them for ever."""

    daemon_threads = True
    block_on_close = False

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.answers: list[Answer] = []
        self.requests: list[dict[str, str]] = []
        self.stopped = threading.Event()


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    server = Site()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    yield server
    server.stopped.set()
    server.shutdown()
    server.server_close()
    thread.join()


def head(handler: Handler, status: int, **headers: object) -> None:
    handler.send_response(status)
    for name, value in headers.items():
        handler.send_header(name.replace("_", "-"), str(value))
    handler.send_header("Connection", "close")
    handler.end_headers()


def whole(body: bytes = BODY, *, cut: int | None = None, **changes: Any) -> Answer:
    """The file, ranges heeded; `cut` breaks the connection after so many bytes."""

    def answer(handler: Handler) -> None:
        headers = {"Content_Type": "audio/mpeg", "ETag": ETAG} | changes
        wanted = handler.headers.get("Range")
        start = 0
        if wanted and handler.headers.get("If-Range") == headers["ETag"]:
            start = int(wanted.removeprefix("bytes=").rstrip("-"))
            headers["Content_Range"] = f"bytes {start}-{len(body) - 1}/{len(body)}"
        headers.setdefault("Content_Length", len(body) - start)
        headers = {name: value for name, value in headers.items() if value is not None}
        head(handler, 206 if start else 200, **headers)
        handler.wfile.write(body[start : None if cut is None else start + cut])

    return answer


def status(code: int, **headers: object) -> Answer:
    return lambda handler: head(handler, code, Content_Length=0, **headers)


class Time:
    """Sleep that takes no time and remembers how long it was asked for."""

    def __init__(self) -> None:
        self.slept_s: list[float] = []

    def patience(self, **changes: Any) -> Patience:
        return Patience(**({"sleep": self.slept_s.append, "chance": lambda: 1.0} | changes))


def fetch(site: Site, target: Path, *answers: Answer, **options: Any) -> Download:
    site.answers = list(answers) or site.answers
    options = {"largest_bytes": 10_000_000, "patience": Time().patience()} | options
    url = options.pop("url", f"http://127.0.0.1:{site.server_port}/a.mp3")
    return fetch_file(url, target, allow_private=True, **options)


def refuse(site: Site, target: Path, match: str, *answers: Answer, **options: Any) -> InputError:
    with pytest.raises(InputError, match=match) as failure:
        fetch(site, target, *answers, **options)
    assert not target.exists()
    assert failure.value.next_step
    return failure.value


def is_whole(target: Path) -> bool:
    others = [path.name for path in target.parent.iterdir() if path != target]
    return target.read_bytes() == BODY and not others


# -- what goes well --------------------------------------------------------------------------------


def test_a_recording_arrives_whole(site: Site, tmp_path: Path) -> None:
    url = f"http://me:pw@127.0.0.1:{site.server_port}/a.mp3?token=s3cret"
    done = fetch(site, tmp_path / "deep" / "a.mp3", whole(), url=url)
    assert is_whole(tmp_path / "deep" / "a.mp3")
    assert done == Download(
        url=f"http://127.0.0.1:{site.server_port}/a.mp3?token=…",
        path="a.mp3",
        sha256=SHA256,
        bytes=len(BODY),
        content_type="audio/mpeg",
        etag=ETAG,
        resumed_from=0,
        attempts=1,
    )
    assert site.requests[0]["Accept-Encoding"] == "identity"


def test_redirects_are_followed_and_other_files_are_fetched(site: Site, tmp_path: Path) -> None:
    moved = status(302, Location="/elsewhere.mp3")
    assert fetch(site, tmp_path / "a.mp3", *[moved] * 8, whole()).attempts == 1
    text = whole(b"<!doctype html><p>Hello", Content_Type="text/html")
    assert fetch(site, tmp_path / "a.html", text, kind="transcript").bytes == 23


@pytest.mark.parametrize("stated", ["text/plain", "text/html", "image/jpeg", None])
def test_audio_under_a_wrong_name_is_audio(site: Site, tmp_path: Path, stated: str | None) -> None:
    fetch(site, tmp_path / "a.mp3", whole(Content_Type=stated, Content_Encoding="gzip"))
    assert is_whole(tmp_path / "a.mp3")


# -- lines that break ------------------------------------------------------------------------------


def test_a_broken_line_is_gone_on_with(site: Site, tmp_path: Path) -> None:
    done = fetch(site, tmp_path / "a.mp3", whole(cut=120_000), whole(cut=100_000), whole())
    assert is_whole(tmp_path / "a.mp3")
    assert (done.attempts, done.resumed_from, done.sha256) == (3, 220_000, SHA256)
    assert [r.get("Range") for r in site.requests] == [None, "bytes=120000-", "bytes=220000-"]
    assert site.requests[2]["If-Range"] == ETAG


def test_a_later_call_goes_on_with_what_an_earlier_one_left(site: Site, tmp_path: Path) -> None:
    target = tmp_path / "a.mp3"
    failure = refuse(
        site, target, "the connection broke off, and so 1 times in a row",
        whole(cut=50_000), patience=Time().patience(most_attempts=1),
    )  # fmt: skip
    assert "what has arrived is kept" in str(failure)
    # a feed that signs its addresses gives another one next time
    url = f"http://127.0.0.1:{site.server_port}/a.mp3?signed=again"
    done = fetch(site, target, whole(), url=url)
    assert (done.resumed_from, done.attempts) == (50_000, 1)
    assert is_whole(target)


def test_a_part_that_only_lacked_its_name(site: Site, tmp_path: Path) -> None:
    target = tmp_path / "a.mp3"
    refuse(site, target, "broke", whole(cut=900), patience=Time().patience(most_attempts=1))
    (tmp_path / "a.mp3.part").write_bytes(BODY)
    assert fetch(site, target, whole()).resumed_from == len(BODY) - 1
    assert is_whole(target)


@pytest.mark.parametrize(
    ("first", "then"),
    [
        (whole(cut=50_000), whole(ETag='"two"')),  # another file now
        (whole(cut=50_000, ETag=None), whole()),  # nothing to tell it by
        (whole(cut=50_000, ETag='W/"weak"'), whole()),
    ],
)
def test_what_cannot_be_gone_on_with_starts_over(
    site: Site, tmp_path: Path, first: Answer, then: Answer
) -> None:
    done = fetch(site, tmp_path / "a.mp3", first, then)
    assert (done.resumed_from, done.attempts) == (0, 2)
    assert is_whole(tmp_path / "a.mp3")


def answer_206_of_another_file(handler: Handler) -> None:
    start = int(handler.headers["Range"].removeprefix("bytes=").rstrip("-"))
    other = bytes(len(BODY))
    span = f"bytes {start}-{len(other) - 1}/{len(other)}"
    head(handler, 206, Content_Length=len(other) - start, Content_Range=span, ETag='"two"')
    handler.wfile.write(other[start:])


@pytest.mark.parametrize(
    "answer",
    [
        status(416, Content_Range=f"bytes */{len(BODY)}"),
        status(206, Content_Range="bytes 0-9/10"),
        status(206),
        answer_206_of_another_file,
    ],
)
def test_answers_to_a_range_that_do_not_fit(site: Site, tmp_path: Path, answer: Answer) -> None:
    done = fetch(site, tmp_path / "a.mp3", whole(cut=50_000), answer, whole())
    assert (done.resumed_from, done.attempts) == (0, 3)
    assert is_whole(tmp_path / "a.mp3")


def test_a_length_that_is_too_long(site: Site, tmp_path: Path) -> None:
    answer = whole(Content_Length=len(BODY) + 5, ETag=None)
    refuse(site, tmp_path / "a.mp3", "broke off, and so 6 times", answer)
    assert len(site.requests) == 7  # the first brought something


def without_length(body: bytes) -> Answer:
    def answer(handler: Handler) -> None:
        head(handler, 200, Content_Type="audio/mpeg")
        handler.wfile.write(body)

    return answer


def test_a_body_without_a_length_that_is_shorter_than_the_feed_says(
    site: Site, tmp_path: Path
) -> None:
    answers = without_length(BODY[:1000]), without_length(BODY)
    done = fetch(site, tmp_path / "a.mp3", *answers, expected_bytes=len(BODY))
    assert (done.attempts, is_whole(tmp_path / "a.mp3")) == (2, True)
    # the same end twice: then it is the feed that is wrong
    done = fetch(site, tmp_path / "a.mp3", without_length(BODY), expected_bytes=10 * len(BODY))
    assert (done.attempts, done.bytes) == (2, len(BODY))


# -- servers that are busy, gone or hostile --------------------------------------------------------


def test_a_busy_server_is_asked_again_when_it_says(site: Site, tmp_path: Path) -> None:
    time = Time()
    answers = (status(503), status(429, Retry_After=7), status(500), status(503, Retry_After=9999))
    done = fetch(site, tmp_path / "a.mp3", *answers, whole(), patience=time.patience())
    assert done.attempts == 5
    assert time.slept_s == [1.0, 7.0, 4.0, 60.0]


def test_a_server_that_stays_busy(site: Site, tmp_path: Path) -> None:
    time = Time()
    refuse(
        site, tmp_path / "a.mp3", r"the server answered 503 Service Unavailable, and so 6 times",
        status(503), patience=time.patience(chance=lambda: 0.0),
    )  # fmt: skip
    assert time.slept_s == [0.5, 1.0, 2.0, 4.0, 8.0]


@pytest.mark.parametrize(("code", "step"), [(404, "Read the feed again"), (403, "private address")])
def test_a_refusal_is_final(site: Site, tmp_path: Path, code: int, step: str) -> None:
    failure = refuse(site, tmp_path / "a.mp3", f"the server answered {code}", status(code))
    assert step in str(failure)
    assert len(site.requests) == 1


@pytest.mark.parametrize(
    ("answer", "match"),
    [
        (whole(b"<p>Log in", Content_Type="text/html; charset=utf-8"), "is a web page"),
        (whole(b" <!DOCTYPE html><p>Log in"), "is a web page"),
        (whole(b'{"error": 1}', Content_Type="application/json"), "is of type application/json"),
        (whole(b"\x1f\x8b" + bytes(99), Content_Encoding="gzip"), "was sent compressed"),
        (whole(Content_Length=10_000_001), r"has 10\.0 MB, expected at most 10\.0 MB"),
        (status(302, Location="file:///etc/passwd"), "neither http nor https"),
        (status(302, Location="/again"), "redirects more than 15 times"),
        (status(302, Location="http://[::1/"), "malformed"),
    ],
)
def test_what_is_no_recording(site: Site, tmp_path: Path, answer: Answer, match: str) -> None:
    refuse(site, tmp_path / "a.mp3", match, answer)
    assert list(tmp_path.iterdir()) == []


def test_an_endless_body(site: Site, tmp_path: Path) -> None:
    def answer(handler: Handler) -> None:
        head(handler, 200, Content_Type="audio/mpeg")
        while True:
            handler.wfile.write(BODY)

    refuse(site, tmp_path / "a.mp3", r"goes on, expected at most 1\.0 MB", answer,
           largest_bytes=1_000_000)  # fmt: skip
    assert list(tmp_path.iterdir()) == []


def test_a_server_that_drips(site: Site, tmp_path: Path) -> None:
    def answer(handler: Handler) -> None:
        head(handler, 200, Content_Type="audio/mpeg", Content_Length=len(BODY))
        handler.wfile.write(BODY[:600])
        while not site.stopped.wait(0.05):
            handler.wfile.write(b"x")

    patience = Time().patience(read_timeout_s=0.8, most_attempts=1)
    # on a busy machine the drops themselves may come too late
    match = "the server sent only .* bytes in|did not answer in time"
    refuse(site, tmp_path / "a.mp3", match, answer, patience=patience)


def test_a_server_that_falls_silent(site: Site, tmp_path: Path) -> None:
    def answer(handler: Handler) -> None:
        head(handler, 200, Content_Type="audio/mpeg", Content_Length=len(BODY))
        handler.wfile.write(BODY[:600])
        site.stopped.wait()

    patience = Time().patience(read_timeout_s=0.3, most_attempts=1)
    refuse(site, tmp_path / "a.mp3", "did not answer in time", answer, patience=patience)


def test_an_address_in_this_network_is_refused(site: Site, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="inside this machine's network"):
        fetch_file(
            f"http://127.0.0.1:{site.server_port}/a.mp3", tmp_path / "a.mp3", largest_bytes=9
        )
    assert site.requests == []


# -- disks and twins -------------------------------------------------------------------------------


def test_a_disk_that_takes_no_more(site: Site, tmp_path: Path) -> None:
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, limits[1]))
    try:
        with pytest.raises(RunError, match=r"Cannot write .*a\.mp3\.part: File too large"):
            fetch(site, tmp_path / "a.mp3", whole())
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert not (tmp_path / "a.mp3").exists()
    assert fetch(site, tmp_path / "a.mp3").resumed_from > 0
    assert is_whole(tmp_path / "a.mp3")


def test_a_disk_without_room_is_not_begun_on(site: Site, tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"needs 1000000\.0 GB, and .* left\. Make room"):
        fetch(site, tmp_path / "a.mp3", whole(Content_Length=10**15), largest_bytes=10**16)
    assert list(tmp_path.iterdir()) == []


def test_a_twin_is_told_and_not_kept_twice(site: Site, tmp_path: Path) -> None:
    (tmp_path / "same-size.mp3").write_bytes(bytes(len(BODY)))
    fetch(site, tmp_path / "a.mp3", whole())
    done = fetch(site, tmp_path / "b.mp3", whole())
    assert (done.twin, done.path, done.sha256) == ("a.mp3", "a.mp3", SHA256)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.mp3", "same-size.mp3"]
    assert fetch(site, tmp_path / "a.mp3", whole()).twin is None  # not of itself
    assert find_twin(SHA256, len(BODY), tmp_path / "none") is None


@pytest.mark.parametrize(
    ("text", "expected_s"),
    [("7", 7.0), ("", None), ("soon", None), ("-1", None), ("Wed, 01 Jan 2020 00:00:00 GMT", 0.0)],
)
def test_retry_after(text: str, expected_s: float | None) -> None:
    assert parse_retry_after(text) == expected_s
