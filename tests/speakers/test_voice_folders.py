"""References in `voices/`: no consent, nothing of a person's overwritten, nobody shadowed."""

from pathlib import Path

import numpy as np
import pytest

from podcaster.audio import read_wav
from podcaster.errors import ConsentMissing
from podcaster.speak.voices import check_consent, find_voices
from podcaster.speakers.references import Passage
from podcaster.speakers.voice_folders import (
    Place,
    VoiceNote,
    find_place,
    remove_stale,
    write_voice,
)

NOTE = VoiceNote("tea", "jane-doe", "Jane Doe", ("en", "de"), 172.0)
PASSAGES = (Passage("one", 1.0, 8.0, 33.0),)
SOUND = (0.1 * np.sin(np.arange(7 * 16_000) / 20)).astype(np.float32)

CONSENT = '\n[consent]\nkind = "written"\nby = "Jane Doe"\non = "2026-11-20"\nproof = "a.pdf"\n'


def keep(home: Path, note: VoiceNote = NOTE, source: str = "a") -> Place | None:
    place = find_place(home / "voices", note, {"ada"})
    if place is not None and place.mine:
        write_voice(place, note, PASSAGES, source, SOUND, 16_000)
    return place


def test_a_reference_is_listed_as_a_voice_and_may_not_be_cloned(tmp_path: Path) -> None:
    keep(tmp_path)
    voice = find_voices(tmp_path)["jane-doe"]
    assert voice.languages == ("en", "de")
    assert voice.consent is None
    samples, rate = read_wav(Path(voice.references[0]))
    assert (len(samples), rate) == (len(SOUND), 16_000)
    with pytest.raises(ConsentMissing, match="no consent"):
        check_consent(voice)


def test_with_a_consent_it_may_and_is_never_written_again(tmp_path: Path) -> None:
    keep(tmp_path)
    path = tmp_path / "voices" / "jane-doe" / "voice.toml"
    path.write_text(path.read_text() + CONSENT)
    check_consent(find_voices(tmp_path)["jane-doe"])
    before = path.read_bytes()
    place = keep(tmp_path, source="another")
    assert place is not None
    assert not place.mine
    assert path.read_bytes() == before
    assert list(remove_stale(tmp_path / "voices", "tea", set())) == []
    assert path.is_file()


def test_what_nobody_touched_is_brought_up_to_date(tmp_path: Path) -> None:
    keep(tmp_path, source="a")
    place = keep(tmp_path, source="b")
    assert place is not None
    assert (place.mine, place.source) == (True, "a")
    again = find_place(tmp_path / "voices", NOTE, set())
    assert again is not None
    assert again.source == "b"


def test_somebody_elses_voice_of_the_same_name_stays(tmp_path: Path) -> None:
    other = tmp_path / "voices" / "jane-doe"
    other.mkdir(parents=True)
    (other / "voice.toml").write_text("mine")
    place = keep(tmp_path)
    assert place is not None
    assert place.folder.name == "jane-doe-tea"
    assert (other / "voice.toml").read_text() == "mine"
    assert set(find_voices(tmp_path)) >= {"jane-doe-tea"}


def test_a_built_in_voice_is_not_shadowed(tmp_path: Path) -> None:
    place = keep(tmp_path, VoiceNote("tea", "ada", "Ada", ("en",), 150.0))
    assert place is not None
    assert place.folder.name == "ada-tea"
    assert find_voices(tmp_path)["ada"].engine == "kokoro"


def test_another_shows_speaker_of_the_same_name_gets_a_folder_of_its_own(tmp_path: Path) -> None:
    keep(tmp_path)
    other = keep(tmp_path, VoiceNote("coffee", "jane-doe", "Jane Doe", ("en",), 150.0))
    assert other is not None
    assert other.folder.name == "jane-doe-coffee"


def test_who_is_called_otherwise_now_leaves_no_voice_behind(tmp_path: Path) -> None:
    keep(tmp_path)
    assert list(remove_stale(tmp_path / "voices", "coffee", set())) == []
    assert list(remove_stale(tmp_path / "voices", "tea", {"jane-doe"})) == []
    assert list(remove_stale(tmp_path / "voices", "tea", {"june-doe"})) == ["jane-doe"]
    assert not (tmp_path / "voices" / "jane-doe").exists()


def test_a_folder_with_something_of_a_persons_is_not_removed(tmp_path: Path) -> None:
    keep(tmp_path)
    (tmp_path / "voices" / "jane-doe" / "notes.txt").write_text("mine")
    assert list(remove_stale(tmp_path / "voices", "tea", set())) == []


@pytest.mark.parametrize("name", ['Jane "Q" Doe', "Jane\\Doe", "Jane ]] Doe", "Żaneta Dół"])
def test_strange_names_make_valid_files(tmp_path: Path, name: str) -> None:
    keep(tmp_path, VoiceNote("tea", "jane", name, ("en",), 150.0))
    assert name in find_voices(tmp_path)["jane"].description
