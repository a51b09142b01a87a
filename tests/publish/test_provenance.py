import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import msgspec
import pytest

from podcaster.errors import ConfigError, EngineError
from podcaster.model import Consent, Episode
from podcaster.publish.options import PublishOptions
from podcaster.publish.provenance import Making, describe_making, sign_mp3
from tests.signing_chain import make_chain

Publisher = Callable[..., tuple[Path, Episode]]

MAKING = Making(disclosure="AI made it.", model="builtin", voices=())


@pytest.fixture(scope="module")
def chain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_chain(tmp_path_factory.mktemp("chain"))


@pytest.fixture
def signing(chain: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PODCASTER_SIGN_CERT", str(chain / "chain.pem"))
    monkeypatch.setenv("PODCASTER_SIGN_KEY", str(chain / "leaf.key"))
    return chain


def test_a_signed_episode_says_that_an_algorithm_made_it(
    publish_run: Publisher, signing: Path
) -> None:
    c2pa = pytest.importorskip("c2pa", reason="the extra `provenance` is not installed")
    from mutagen.id3 import ID3

    run_folder, episode = publish_run(options=PublishOptions(sign=True))
    path = run_folder / "publish" / "episode.mp3"
    assert path.stat().st_size == episode.audio_bytes
    with c2pa.Reader(str(path)) as reader:
        text = reader.json()
    manifest = json.loads(text)
    assert "trainedAlgorithmicMedia" in text
    active = manifest["manifests"][manifest["active_manifest"]]
    assert active["title"] == episode.title
    assertions = {assertion["label"]: assertion["data"] for assertion in active["assertions"]}
    assert assertions["podcaster.making"]["model"] == "builtin"
    assert assertions["c2pa.actions.v2"]["actions"][0]["action"] == "c2pa.created"
    codes = {s["code"] for s in manifest.get("validation_status", [])}
    assert not codes - {"signingCredential.untrusted"}, codes
    tags = ID3(path)
    assert tags["TIT2"].text == [episode.title]
    assert len(tags.getall("CHAP")) == 2
    assert tags.getall("APIC")[0].data.startswith(b"\xff\xd8")


def test_a_changed_byte_breaks_the_signature(publish_run: Publisher, signing: Path) -> None:
    c2pa = pytest.importorskip("c2pa", reason="the extra `provenance` is not installed")
    run_folder, _ = publish_run(options=PublishOptions(sign=True))
    path = run_folder / "publish" / "episode.mp3"
    data = bytearray(path.read_bytes())
    data[-2000] ^= 0xFF
    path.write_bytes(data)
    with c2pa.Reader(str(path)) as reader:
        codes = {s["code"] for s in json.loads(reader.json()).get("validation_status", [])}
    assert "assertion.dataHash.mismatch" in codes


def test_signing_without_a_certificate_says_which_variable_is_missing(
    publish_run: Publisher, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PODCASTER_SIGN_CERT", raising=False)
    with pytest.raises(ConfigError, match="PODCASTER_SIGN_CERT is not set") as caught:
        publish_run(options=PublishOptions(sign=True))
    assert "sign = false" in caught.value.next_step


def test_a_key_that_is_not_one_is_refused_and_nothing_is_left(
    publish_run: Publisher, signing: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    pytest.importorskip("c2pa", reason="the extra `provenance` is not installed")
    broken = tmp_path / "broken.key"
    broken.write_text("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n")
    monkeypatch.setenv("PODCASTER_SIGN_KEY", str(broken))
    with pytest.raises(EngineError, match="Signing the MP3 with c2pa failed"):
        publish_run(options=PublishOptions(sign=True))
    names = [p.name for p in (tmp_path / "runs").rglob("*") if p.is_file()]
    assert names == ["cover.jpg"]


def test_a_file_that_is_not_pem_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    other = tmp_path / "other.txt"
    other.write_text("hello")
    monkeypatch.setenv("PODCASTER_SIGN_CERT", str(other))
    with pytest.raises(ConfigError, match="not a certificate chain in PEM form"):
        sign_mp3(tmp_path / "episode.mp3", title="x", making=MAKING)


def test_an_unknown_algorithm_lists_the_known_ones(
    signing: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PODCASTER_SIGN_ALGORITHM", "md5")
    with pytest.raises(ConfigError, match="expected one of es256"):
        sign_mp3(tmp_path / "episode.mp3", title="x", making=MAKING)


def test_without_the_extra_the_install_command_is_given(
    publish_run: Publisher, signing: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import sys

    from podcaster.errors import EngineMissing

    monkeypatch.setitem(sys.modules, "c2pa", None)
    with pytest.raises(EngineMissing) as caught:
        publish_run(options=PublishOptions(sign=True))
    assert "pip install 'podcaster[provenance]'" in caught.value.next_step


def test_what_the_manifest_says_of_voices_holds_no_proof_and_no_path(make: SimpleNamespace) -> None:
    consent = Consent(kind="written", by="Kim Example", on="2026-11-20", proof="consent.pdf")
    mine = msgspec.structs.replace(
        make.voice("kim"), engine="coqui", references=("/home/kim/a.wav",), consent=consent
    )
    script = make.script(model="/home/kim/models/talk-q4.gguf")
    making = describe_making(
        script, {"host": make.voice("ada"), "guest": mine}, disclosure="AI made it."
    )
    assert making.model == "talk-q4.gguf"
    assert [(v.role, v.voice, v.engine, v.consent) for v in making.voices] == [
        ("host", "ada", "espeak", "not needed"),
        ("guest", "kim", "coqui", "written"),
    ]
    text = msgspec.json.encode(making).decode()
    for private in ("Kim Example", "consent.pdf", "2026-11-20", "/home/kim", "a.wav"):
        assert private not in text
