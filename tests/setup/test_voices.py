"""Models that speak, from a small hub on loopback: nobody accepts a licence but the user."""

import gc
import hashlib
import json
import threading
import warnings
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from podcaster.cli import main
from podcaster.errors import ConfigError, EngineMissing
from podcaster.progress import Silence
from podcaster.setup.speech import SpeechModel
from podcaster.setup.voices import (
    ACCEPTANCE,
    VOICE_MODELS,
    check_accepting,
    choose_voice_models,
    download_voice_model,
    find_voice_model,
    is_accepted,
    list_voice_offers,
)
from tests.test_setup_speech import WEIGHTS, Hub

XTTS = VOICE_MODELS[0]
LICENCE = b"You may use this if you do not earn by it.\n"


class XttsHub(Hub):
    """The hub with XTTS-v2's files on it, `model.pth` as a large one."""

    def __init__(self) -> None:
        super().__init__()
        self.files = {
            "model.pth": WEIGHTS,
            "config.json": b"{}",
            "vocab.json": b"{}",
            "LICENSE.txt": LICENCE,
            "dvae.pth": b"not asked for",
            "speakers_xtts.pth": b"a pickle",
        }

    def describe(self) -> dict[str, Any]:
        described = super().describe()
        digest = hashlib.sha256(WEIGHTS).hexdigest()
        for entry in described["siblings"]:
            if entry["rfilename"] == "model.pth":
                entry["lfs"] = {"sha256": digest, "size": len(WEIGHTS), "pointerSize": 134}
        return described


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Hub]:
    from huggingface_hub import constants, file_download
    from huggingface_hub.utils import reset_sessions

    with XttsHub() as server:
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}"
        template = url + "/{repo_id}/resolve/{revision}/{filename}"
        monkeypatch.setattr(constants, "ENDPOINT", url)
        monkeypatch.setattr(file_download, "HUGGINGFACE_CO_URL_TEMPLATE", template)
        monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
        monkeypatch.setenv("NO_PROXY", "127.0.0.1,localhost")
        monkeypatch.delenv("HF_TOKEN", raising=False)
        # what coqui-tts takes for a yes is none to us
        monkeypatch.setenv("COQUI_TOS_AGREED", "1")
        yield server
        server.shutdown()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        reset_sessions()
        gc.collect()


def run(*arguments: str, monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setattr("sys.argv", ["podcaster", *arguments])
    try:
        main()
    except SystemExit as ended:
        return int(ended.code or 0)
    return 0


def test_without_a_word_from_the_user_nothing_is_fetched(hub: Hub) -> None:
    with pytest.raises(ConfigError) as told:
        download_voice_model(XTTS, [], Silence())
    assert "non-commercial" in str(told.value)
    assert "LICENSE.txt" in str(told.value)
    assert "podcaster setup xtts-v2 --accept-licence cpml" in str(told.value)
    assert hub.asked == []
    with pytest.raises(EngineMissing, match="--accept-licence cpml"):
        find_voice_model("xtts-v2")


def test_what_is_accepted_lies_beside_the_model_with_its_date(hub: Hub) -> None:
    folder, fetched_bytes = download_voice_model(XTTS, ["CPML"], Silence())
    assert sorted(path.name for path in folder.iterdir()) == [
        "LICENSE.txt",
        "config.json",
        ACCEPTANCE,
        "model.pth",
        "vocab.json",
    ]
    assert fetched_bytes >= len(WEIGHTS)
    said = json.loads((folder / ACCEPTANCE).read_text("utf-8"))
    age = datetime.now(UTC) - datetime.fromisoformat(said["accepted_at"])
    assert timedelta(seconds=-2) < age < timedelta(hours=1)
    assert said["licence"] == "CPML"
    assert "--accept-licence" in said["by_typing"]
    assert find_voice_model("xtts-v2") == folder
    # asked for again, it is there, and need not be accepted again
    asked, kept = len(hub.asked), (folder / ACCEPTANCE).read_bytes()
    assert download_voice_model(XTTS, [], Silence()) == (folder, 0)
    assert len(hub.asked) == asked
    assert (folder / ACCEPTANCE).read_bytes() == kept


@pytest.mark.usefixtures("hub")
@pytest.mark.parametrize("damage", ["absent", "another text", "no JSON", "another licence"])
def test_a_licence_counts_as_accepted_only_as_it_reads_now(damage: str) -> None:
    folder, _ = download_voice_model(XTTS, ["cpml"], Silence())
    record = folder / ACCEPTANCE
    if damage == "absent":
        record.unlink()
    elif damage == "another text":
        (folder / "LICENSE.txt").unlink()
        (folder / "LICENSE.txt").write_bytes(LICENCE + b"And it costs a kidney.\n")
    elif damage == "no JSON":
        record.write_bytes(b"\xff[[[[")
    else:
        record.write_text(record.read_text("utf-8").replace('"CPML"', '"MIT"'), encoding="utf-8")
    assert not is_accepted(XTTS, folder)
    with pytest.raises(EngineMissing, match="nobody has accepted") as told:
        find_voice_model("xtts-v2")
    assert "podcaster setup xtts-v2 --accept-licence cpml" in str(told.value)
    # what is here already can be accepted without fetching it again
    assert download_voice_model(XTTS, ["cpml"], Silence()) == (folder, 0)
    assert find_voice_model("xtts-v2") == folder


def test_only_what_was_asked_for_can_be_accepted() -> None:
    check_accepting(["cpml"], [XTTS])
    with pytest.raises(ConfigError, match="licence of xtts-v2, which was not asked for"):
        check_accepting(["cpml"], choose_voice_models(["kokoro"]))
    with pytest.raises(ConfigError, match="no licence 'mit'"):
        check_accepting(["mit"], [XTTS])
    assert choose_voice_models(["kokoro", "whisper-tiny", "xtts-v2", "kokoro"]) == (
        VOICE_MODELS[1],
        XTTS,
    )
    with pytest.raises(ConfigError, match="there is xtts-v2, kokoro"):
        find_voice_model("sam")


def test_the_command_line_lists_refuses_and_fetches(
    hub: Hub, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    home = ["--home", str(Path(hub_cache()).parent)]
    assert run("setup", "xtts-v2", *home, monkeypatch=monkeypatch) == 2
    assert "--accept-licence cpml" in capsys.readouterr().out
    assert hub.asked == []
    assert run("setup", "kokoro", "--accept-licence", "cpml", *home, monkeypatch=monkeypatch) == 2
    assert hub.asked == []
    arguments = ("setup", "xtts-v2", "--accept-licence", "cpml", *home)
    assert run(*arguments, monkeypatch=monkeypatch) == 0
    (offer, *_) = list_voice_offers()
    assert offer.accepted
    assert offer.path == find_voice_model("xtts-v2")
    capsys.readouterr()
    assert run("setup", "--json", *home, monkeypatch=monkeypatch) == 0
    listed = json.loads(capsys.readouterr().out)["voice_models"]
    assert listed[0] == {
        "name": "xtts-v2",
        "licence": "CPML",
        "accepted": True,
        "path": str(offer.path),
    }


def hub_cache() -> str:
    from huggingface_hub import constants

    return str(constants.HF_HUB_CACHE)


def test_every_model_says_what_it_needs() -> None:
    assert len({model.name for model in VOICE_MODELS}) == len(VOICE_MODELS) > 1
    for model in VOICE_MODELS:
        assert isinstance(model.files, SpeechModel)
        assert set(model.files.needed) <= set(model.files.wanted)
        if model.terms:
            assert model.terms.file in model.files.needed
