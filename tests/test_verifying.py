"""What `podcaster verify` finds: in what we make, in what was changed since, in anything else."""

import json
import random
from pathlib import Path
from typing import Any

import msgspec
import pytest
from mutagen.id3 import COMM, GEOB, ID3, TIT2, ID3NoHeaderError
from typer.testing import CliRunner

from podcaster.cli import app
from podcaster.errors import EngineMissing, InputError
from podcaster.publish.id3 import read_id3
from podcaster.publish.manifest import parse_report
from podcaster.publish.notes import disclose
from podcaster.publish.options import PublishOptions
from podcaster.verifying import verify_file
from tests.publish.conftest import encode_mp3, publish_into
from tests.signing_chain import make_chain


@pytest.fixture(scope="module")
def mix(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return encode_mp3(tmp_path_factory.mktemp("mix") / "episode.mp3")


@pytest.fixture(scope="module")
def chain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_chain(tmp_path_factory.mktemp("chain"))


@pytest.fixture(scope="module")
def unsigned(mix: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("unsigned") / "talk"
    publish_into(folder, mix)
    return folder / "publish" / "episode.mp3"


@pytest.fixture(scope="module")
def signed(mix: Path, chain: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("c2pa", reason="the extra `provenance` is not installed")
    folder = tmp_path_factory.mktemp("signed") / "talk"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PODCASTER_SIGN_CERT", str(chain / "chain.pem"))
        patch.setenv("PODCASTER_SIGN_KEY", str(chain / "leaf.key"))
        publish_into(folder, mix, options=PublishOptions(sign=True))
    return folder / "publish" / "episode.mp3"


def spoil(source: Path, target: Path, position: int, *, bits: int = 1) -> Path:
    data = bytearray(source.read_bytes())
    data[position] ^= bits
    target.write_bytes(data)
    return target


def test_what_we_sign_is_intact_and_says_how_it_was_made(signed: Path, chain: Path) -> None:
    findings = verify_file(signed, chain / "ca.pem")
    manifest = findings.manifest
    assert manifest is not None
    assert (manifest.state, manifest.problems, findings.holds) == ("trusted", (), True)
    assert (manifest.signer, manifest.issuer, manifest.algorithm) == ("leaf", "Test", "Es256")
    assert manifest.generator.startswith("podcaster ")
    assert manifest.source_types == ("trainedAlgorithmicMedia",)
    assert manifest.actions == ("c2pa.created", "podcaster.spoken", "podcaster.mixed")
    assert manifest.making is not None
    assert manifest.making.model == "builtin"
    assert [(v.speaker, v.engine, v.consent) for v in manifest.making.voices] == [
        ("Robin Hale", "espeak", "not needed"),
        ("Jane Doe", "espeak", "not needed"),
    ]
    assert findings.says_ai
    assert findings.tags is not None
    assert findings.tags.title == "Jane Doe on rockets"
    assert findings.tags.manifests == 1
    assert findings.duration_s == pytest.approx(12.0, abs=0.1)


def test_a_signer_whom_nobody_vouches_for_is_told_apart(signed: Path, tmp_path: Path) -> None:
    alone = verify_file(signed).manifest
    other = verify_file(signed, make_chain(tmp_path) / "ca.pem").manifest
    for manifest in (alone, other):
        assert manifest is not None
        assert manifest.state == "untrusted"
        assert manifest.problems == ("signingCredential.untrusted",)


def test_changed_sound_a_changed_tag_and_a_changed_claim_are_all_seen(
    signed: Path, chain: Path, tmp_path: Path
) -> None:
    data = signed.read_bytes()
    places = {
        "sound": len(data) - 2000,
        "title": data.index(b"TIT2") + 16,
        "comment": data.index(b"COMM") + 20,
        "assertion": data.index(b"podcaster.spoken"),
        "making": data.index(b'"consent":"not needed"') + 13,
    }
    for what, position in places.items():
        path = spoil(signed, tmp_path / f"{what}.mp3", position)
        changed = verify_file(path, chain / "ca.pem")
        assert changed.manifest is not None
        assert changed.manifest.state == "altered", what
        assert not changed.holds
    (tmp_path / "short.mp3").write_bytes(data[: len(data) * 2 // 3])
    (tmp_path / "long.mp3").write_bytes(data + data[-5000:])
    for name in ("short.mp3", "long.mp3"):
        found = verify_file(tmp_path / name, chain / "ca.pem").manifest
        assert found is not None
        assert found.state == "altered", name


def test_a_byte_that_hides_the_manifest_from_the_library_is_seen(
    signed: Path, tmp_path: Path
) -> None:
    position = signed.read_bytes().index(b"TIT2") + 16  # not UTF-8 any more
    findings = verify_file(spoil(signed, tmp_path / "hidden.mp3", position, bits=0xFF))
    assert findings.manifest is not None
    assert findings.manifest.state == "invalid"
    assert "tag around the manifest is broken" in findings.manifest.problems[0]


def test_several_manifests_prove_nothing(signed: Path, tmp_path: Path) -> None:
    path = tmp_path / "two.mp3"
    path.write_bytes(signed.read_bytes())
    tags = ID3(path)
    first = tags.getall("GEOB")[0]
    tags.add(GEOB(encoding=0, mime=first.mime, filename="", desc="another", data=first.data))
    tags.save(path)
    findings = verify_file(path)
    assert findings.tags is not None
    assert findings.tags.manifests == 2
    assert findings.manifest is not None
    assert findings.manifest.state == "invalid"
    assert "more than one manifest" in findings.manifest.problems[0]


@pytest.mark.parametrize(
    "data", [b"", b"jumb" * 500, random.Random(7).randbytes(4000)], ids=["no", "jumb", "any"]
)
def test_a_manifest_that_is_none_is_invalid(unsigned: Path, tmp_path: Path, data: bytes) -> None:
    pytest.importorskip("c2pa", reason="the extra `provenance` is not installed")
    path = tmp_path / "fake.mp3"
    path.write_bytes(unsigned.read_bytes())
    tags = ID3(path)
    tags.add(GEOB(encoding=0, mime="application/c2pa", filename="c2pa", desc="c2pa", data=data))
    tags.save(path)
    findings = verify_file(path)
    assert findings.manifest is not None
    assert findings.manifest.state == "invalid"
    assert not findings.holds


def test_without_a_manifest_nothing_is_proved_and_nothing_contradicted(unsigned: Path) -> None:
    findings = verify_file(unsigned)
    assert findings.manifest is None
    assert findings.holds
    assert findings.says_ai


def test_a_file_that_says_nothing_of_ai(mix: Path, tmp_path: Path) -> None:
    findings = verify_file(mix)
    assert not findings.says_ai
    other = tmp_path / "other.mp3"
    other.write_bytes(mix.read_bytes())
    tags = ID3()
    tags.add(COMM(encoding=3, lang="eng", desc="", text="Recorded in a barn."))
    tags.save(other)
    assert not verify_file(other).says_ai


def test_without_the_extra_only_a_file_with_a_manifest_needs_it(
    unsigned: Path, signed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "c2pa", None)
    findings = verify_file(unsigned)
    assert findings.manifest is None
    assert "c2pa-python" in findings.unchecked
    with pytest.raises(EngineMissing) as caught:
        verify_file(signed)
    assert "podcaster[provenance]" in str(caught.value.next_step)


@pytest.mark.parametrize("data", [b"", b"ID3", b"ID3\x04\x00\x00\x7f\x7f\x7f\x7f", b"x" * 5000])
def test_what_is_no_mp3_is_a_sentence(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "no.mp3"
    path.write_bytes(data)
    with pytest.raises(InputError):
        verify_file(path)


def test_random_bytes_never_crash(tmp_path: Path, signed: Path) -> None:
    noises = [random.Random(seed).randbytes(3000) for seed in range(5)]
    head = signed.read_bytes()
    for index, noise in enumerate([*noises, head[:30] + noises[0], head[:12_000]]):
        path = tmp_path / f"{index}.mp3"
        path.write_bytes(noise)
        with pytest.raises(InputError, match=path.name):
            verify_file(path)


def test_a_folder_another_format_and_a_missing_file_are_told(tmp_path: Path) -> None:
    import numpy as np

    from podcaster.audio import write_wav

    write_wav(tmp_path / "a.wav", np.zeros(4000, dtype=np.float32), 8000)
    with pytest.raises(InputError, match="holds pcm_s16le, expected an MP3"):
        verify_file(tmp_path / "a.wav")
    for path in (tmp_path, tmp_path / "none.mp3"):
        with pytest.raises(InputError, match="is not a file, expected an MP3"):
            verify_file(path)


def test_a_huge_file_is_refused_before_it_is_read(tmp_path: Path) -> None:
    path = tmp_path / "huge.mp3"
    with path.open("wb") as file:
        file.truncate(5_000_000_000)  # a hole: it takes no room
    with pytest.raises(InputError, match="5,000,000,000 bytes"):
        verify_file(path)


def test_a_file_of_certificates_that_has_none_is_refused(signed: Path, tmp_path: Path) -> None:
    (tmp_path / "x.pem").write_text("hello")
    with pytest.raises(InputError, match="no file of certificates"):
        verify_file(signed, tmp_path / "x.pem")


@pytest.mark.parametrize("version", [3, 4])
@pytest.mark.parametrize("encoding", [0, 1, 2, 3])
def test_tags_are_read_as_mutagen_writes_them(tmp_path: Path, version: int, encoding: int) -> None:
    path = tmp_path / "t.mp3"
    path.write_bytes(b"\xff\xfb\x90\x00" * 500)
    tags = ID3()
    tags.add(TIT2(encoding=encoding, text="Fünf \xff\xff\xe0 Ton"))
    tags.add(COMM(encoding=encoding, lang="eng", desc="x", text=disclose(["Jane Doe"])))
    if version == 3:
        tags.update_to_v23()
    tags.save(path, v2_version=version)
    found = read_id3(path)
    assert found is not None
    assert found.version == f"2.{version}"
    assert found.title == "Fünf ÿÿà Ton"
    assert found.comments == (disclose(["Jane Doe"]),)


def test_a_compressed_frame_is_not_opened_and_a_huge_tag_is_refused(tmp_path: Path) -> None:
    import zlib

    bomb = zlib.compress(b"\x03eng\x00" + b"a" * 10_000_000)
    frame = b"COMM" + len(bomb).to_bytes(4, "big") + b"\x00\x80" + bomb
    size = len(frame)
    assert size < 128**2
    head = b"ID3\x03\x00\x00" + bytes([0, 0, size >> 7, size & 127])
    path = tmp_path / "bomb.mp3"
    path.write_bytes(head + frame)
    found = read_id3(path)
    assert found is not None
    assert found.comments == ()
    path.write_bytes(b"ID3\x04\x00\x00\x7f\x7f\x7f\x7f" + bytes(100))
    with pytest.raises(InputError, match="a tag of 268,435,455 bytes"):
        read_id3(path)
    with pytest.raises(ID3NoHeaderError):
        ID3(spoil(path, tmp_path / "none.mp3", 0))
    assert read_id3(tmp_path / "none.mp3") is None


def test_text_of_a_stranger_s_report_is_cleaned_and_cut() -> None:
    actions = [{"action": "c2pa.created\x1b[31m", "digitalSourceType": "a/b/" + "c" * 999}] * 200
    voice = {"speaker": "A\x07B", "role": "host\n", "voice": "v", "engine": "e", "consent": "self"}
    making = {"disclosure": "d", "model": "m\x1b]0;x\x07", "voices": [voice]}
    report: dict[str, Any] = {
        "active_manifest": "x",
        "validation_state": "Trusted",
        "manifests": {
            "x": {
                "title": ["no", "string"],
                "claim_generator_info": "nonsense",
                "signature_info": None,
                "assertions": [
                    {"label": "c2pa.actions.v2", "data": {"actions": actions}},
                    {"label": "podcaster.making", "data": making},
                ],
            }
        },
    }
    manifest = parse_report(json.dumps(report))
    text = msgspec.json.encode(manifest).decode()
    assert "\\u001b" not in text
    assert "\\u0007" not in text
    assert len(text) < 2000
    assert manifest.making is not None
    for broken in ("[]", "{}", "nonsense", "[" * 5000, '{"manifests": [], "active_manifest": 3}'):
        assert parse_report(broken).state == "invalid"


def test_a_watermark_is_listened_for_where_its_models_are(mix: Path, tmp_path: Path) -> None:
    pytest.importorskip("audioseal", reason="the extra `watermark` is not installed")
    from podcaster.mark.audioseal import MESSAGE
    from tests.mark.random_audioseal import write_random_audioseal

    # weights that hear our message in anything: what the judgement is made of arrives
    hearing = write_random_audioseal(tmp_path / "hearing", hears=MESSAGE)
    findings = verify_file(mix, watermark=hearing)
    assert findings.watermark is not None
    assert findings.watermark.ours
    assert (findings.watermark.share, findings.watermark.matching_bits) == (1.0, 16)
    told = CliRunner().invoke(app, ["verify", str(mix), "--watermark", str(hearing)])
    assert "heard in 100% of the sound, 16 of 16 bits: taken for podcaster's" in told.output
    with pytest.raises(EngineMissing, match=r"has no generator_base\.pth"):
        verify_file(mix, watermark=tmp_path)


def test_the_command_s_exit_code_and_words(signed: Path, chain: Path, tmp_path: Path) -> None:
    runner = CliRunner()
    good = runner.invoke(app, ["verify", str(signed), "--trust", str(chain / "ca.pem")])
    assert good.exit_code == 0, good.output
    assert "intact, and signed by somebody whom you trust" in good.output
    assert "guest Jane Doe: voice voice-1 (espeak), consent not needed" in good.output
    bad = spoil(signed, tmp_path / "bad.mp3", signed.stat().st_size - 2000)
    told = runner.invoke(app, ["verify", str(bad)])
    assert told.exit_code == 3
    assert "ALTERED" in told.output
    as_json = runner.invoke(app, ["verify", str(bad), "--json"])
    assert as_json.exit_code == 3
    result = json.loads(as_json.output.splitlines()[-1])
    assert result["holds"] is False
    assert result["manifest"]["state"] == "altered"
    (tmp_path / "x.mp3").write_bytes(b"no")
    assert runner.invoke(app, ["verify", str(tmp_path / "x.mp3")]).exit_code == 3
