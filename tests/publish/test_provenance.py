import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from podcaster.errors import ConfigError, EngineError
from podcaster.model import Episode
from podcaster.publish.options import PublishOptions
from podcaster.publish.provenance import sign_mp3

Publisher = Callable[..., tuple[Path, Episode]]

EXTENSIONS = """
[ca]
basicConstraints=critical,CA:true
keyUsage=critical,keyCertSign,cRLSign
subjectKeyIdentifier=hash
[leaf]
basicConstraints=critical,CA:false
keyUsage=critical,digitalSignature
extendedKeyUsage=critical,emailProtection
subjectKeyIdentifier=hash
authorityKeyIdentifier=keyid
"""


def run_openssl(folder: Path, command: str) -> None:
    subprocess.run(["openssl", *command.split()], cwd=folder, check=True, capture_output=True)


@pytest.fixture(scope="module")
def chain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate authority of the test's own, and a signing certificate that it issued."""
    if not shutil.which("openssl"):
        pytest.skip("openssl is not installed, so no certificate can be made")
    folder = tmp_path_factory.mktemp("chain")
    (folder / "x.cnf").write_text(EXTENSIONS)
    for name in ("ca", "leaf"):
        run_openssl(
            folder, f"genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out {name}.key"
        )
        run_openssl(folder, f"req -new -key {name}.key -subj /O=Test/CN={name} -out {name}.csr")
    signing = "-days 30 -sha256 -extfile x.cnf"
    run_openssl(
        folder, f"x509 -req -in ca.csr -signkey ca.key {signing} -extensions ca -out ca.pem"
    )
    run_openssl(
        folder,
        f"x509 -req -in leaf.csr -CA ca.pem -CAkey ca.key -CAcreateserial {signing} "
        "-extensions leaf -out leaf.pem",
    )
    chain = (folder / "leaf.pem").read_text() + (folder / "ca.pem").read_text()
    (folder / "chain.pem").write_text(chain)
    return folder


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
        sign_mp3(tmp_path / "episode.mp3", title="x")


def test_an_unknown_algorithm_lists_the_known_ones(
    signing: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PODCASTER_SIGN_ALGORITHM", "md5")
    with pytest.raises(ConfigError, match="expected one of es256"):
        sign_mp3(tmp_path / "episode.mp3", title="x")


def test_without_the_extra_the_install_command_is_given(
    publish_run: Publisher, signing: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import sys

    from podcaster.errors import EngineMissing

    monkeypatch.setitem(sys.modules, "c2pa", None)
    with pytest.raises(EngineMissing) as caught:
        publish_run(options=PublishOptions(sign=True))
    assert "pip install 'podcaster[provenance]'" in caught.value.next_step
