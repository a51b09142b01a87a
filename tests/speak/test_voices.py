import os
from pathlib import Path

import pytest

from podcaster.errors import ConsentMissing, VoiceError
from podcaster.model import Consent, Voice
from podcaster.speak.sketching import sketch
from podcaster.speak.voices import (
    builtin_folder,
    check_consent,
    choose_voice,
    find_voices,
    read_voice,
    read_voices,
    speaks,
)

GOOD = """
name = "anna"
description = "For a test."
licence = "none"
words_per_minute = 160.0

[settings]
pitch_low_hz = 150
pitch_high_hz = 200
"""


class Notes:
    def __init__(self) -> None:
        self.lines: list[str] = []

    def report(self, stage: str, done: float, total: float, unit: str) -> None: ...

    def note(self, text: str) -> None:
        self.lines.append(text)


def write_voice(home: Path, text: str, name: str = "anna") -> Path:
    path = home / "voices" / name / "voice.toml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def test_ten_voices_or_more_are_built_in_half_of_them_women_and_each_has_a_sketch() -> None:
    voices, problems = read_voices([builtin_folder()])
    assert problems == ()
    english = [voice for voice in voices.values() if voice.languages[0] == "en"]
    assert len(english) >= 10
    assert [voice.gender for voice in english].count("f") == len(english) / 2
    assert {voice.engine_settings["accent"] for voice in english} == {"american", "british"}
    for voice in voices.values():
        assert voice.engine == "kokoro"
        assert {"en", "es", "fr", "hi", "it", "pt-br"} == set(voice.languages)
        assert "hexgrad, Apache-2.0" in voice.licence
        imitated = sketch(voice)
        assert imitated.engine == "espeak"
        assert {"de", "ja", "sv"} <= set(imitated.languages)
        assert sketch(imitated) is imitated
        check_consent(voice)
    assert len({voice.sha256 for voice in voices.values()}) == len(voices)


def test_a_voice_is_read(tmp_path: Path) -> None:
    voice = read_voice(write_voice(tmp_path, GOOD))
    assert voice.name == "anna"
    assert voice.engine == "espeak"
    assert voice.engine_settings == {"pitch_low_hz": 150, "pitch_high_hz": 200}


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "missing required field `name`"),
        ("name = ", r"Invalid value \(at end of document"),
        ("\x00", "not a valid voice"),
        (GOOD.replace("160.0", '"fast"'), r"`\$\.words_per_minute`"),
        (GOOD.replace("160.0", "0"), r"`\$\.words_per_minute`"),
        (GOOD.replace("160.0", "nan"), r"not a valid voice|words_per_minute"),
        (GOOD.replace('"anna"', '"Anna Bell"'), r"`\$\.name`"),
        (GOOD.replace('"anna"', '"bella"'), r"name = 'bella', expected 'anna'"),
        (GOOD.replace("licence", "license"), "unknown field `license`|missing required field"),
        (GOOD.replace("pitch_low_hz", "pitch"), "unknown field `pitch`"),
        (GOOD.replace("150", "5000"), r"`\$\.pitch_low_hz`"),
        (GOOD.replace("150", "250"), "expected more than pitch_low_hz, 250"),
        (GOOD + 'accent = "en-mars"', "has no accent 'en-mars'"),
        (GOOD + 'accent = "../x"', r"`\$\.accent`"),
        (GOOD.replace("[settings]", 'languages = ["Klingon!"]\n[settings]'), r"`\$\.languages"),
        (GOOD.replace("[settings]", 'references = ["../x.wav"]\n[settings]'), "outside of its fol"),
        (
            GOOD.replace("[settings]", 'references = ["no.wav"]\n[settings]'),
            "audio file .* got none",
        ),
        (GOOD.replace("[settings]", 'engine = "xtts"\n[settings]'), "lists no languages"),
        (GOOD + "x = " + "[" * 5000, "not a valid voice"),
        (GOOD + "#" * 70_000, "is larger than 64,000 bytes"),
    ],
)
def test_a_broken_file_is_one_sentence_that_names_file_and_field(
    tmp_path: Path, text: str, says: str
) -> None:
    path = write_voice(tmp_path, text)
    with pytest.raises(VoiceError, match=says) as raised:
        read_voice(path)
    assert str(path) in str(raised.value)
    assert "\n" not in str(raised.value)


def test_bytes_that_are_no_text_are_refused(tmp_path: Path) -> None:
    path = write_voice(tmp_path, GOOD)
    path.write_bytes(b"\xff\xfe" + bytes(range(256)))
    with pytest.raises(VoiceError, match="not a valid voice"):
        read_voice(path)


def test_a_voice_file_that_is_no_file_is_not_waited_for(tmp_path: Path) -> None:
    path = write_voice(tmp_path, GOOD)
    path.unlink()
    os.mkfifo(path)
    with pytest.raises(VoiceError, match="is not a file"):
        read_voice(path)


def test_one_broken_folder_does_not_stop_the_others(tmp_path: Path) -> None:
    write_voice(tmp_path, GOOD)
    write_voice(tmp_path, "name = 1", name="broken")
    notes = Notes()
    voices = find_voices(tmp_path, notes)
    assert "anna" in voices
    assert "ada" in voices
    assert "broken" not in voices
    (line,) = notes.lines
    assert "broken/voice.toml is not a valid voice" in line
    assert line.endswith("This voice is left out.")


def test_the_workspace_shadows_the_built_in_voices(tmp_path: Path) -> None:
    write_voice(tmp_path, GOOD.replace('"anna"', '"ada"'), name="ada")
    assert find_voices(tmp_path)["ada"].description == "For a test."


def test_what_affects_the_sound_changes_the_hash_and_nothing_else_does(tmp_path: Path) -> None:
    def sha256(text: str) -> str:
        return read_voice(write_voice(tmp_path, text)).sha256

    assert sha256(GOOD) == sha256(GOOD.replace("For a test", "Other words").replace("160", "170"))
    assert sha256(GOOD) != sha256(GOOD.replace("150", "151"))


def test_the_bytes_of_references_belong_to_the_hash(tmp_path: Path) -> None:
    more = 'references = ["a.wav"]\nlanguages = ["en"]\n[settings]'
    path = write_voice(tmp_path, GOOD.replace("[settings]", more))
    (path.parent / "a.wav").write_bytes(b"one")
    first = read_voice(path)
    (path.parent / "a.wav").write_bytes(b"two")
    assert first.references == (str((path.parent / "a.wav").resolve()),)
    assert first.engine == "clone"
    assert read_voice(path).sha256 != first.sha256


def test_a_link_out_of_the_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "secret.wav").write_bytes(b"secret")
    path = write_voice(tmp_path, GOOD.replace("[settings]", 'references = ["a.wav"]\n[settings]'))
    (path.parent / "a.wav").symlink_to(tmp_path / "secret.wav")
    with pytest.raises(VoiceError, match="outside of its folder"):
        read_voice(path)


def cloned(consent: Consent | None, engine: str = "coqui") -> Voice:
    return Voice(
        name="kim",
        engine=engine,
        description="",
        languages=("en",),
        words_per_minute=150,
        licence="",
        sha256="0" * 64,
        references=("/tmp/kim.wav",),
        consent=consent,
    )


def test_no_consent_no_clone() -> None:
    with pytest.raises(ConsentMissing, match=r"'kim' is somebody's own and has no consent") as lack:
        check_consent(cloned(None))
    assert "[consent] of voices/kim/voice.toml" in str(lack.value)
    with pytest.raises(ConsentMissing):
        check_consent(cloned(None, engine="espeak"))


def test_a_consent_without_proof_is_none() -> None:
    with pytest.raises(ConsentMissing, match="a consent without 'proof'"):
        check_consent(cloned(Consent(kind="written", by="Kim", on="2026-01-01", proof=" ")))


def test_a_recorded_consent_is_enough() -> None:
    check_consent(cloned(Consent(kind="self", by="Kim", on="2026-01-01", proof="consent.wav")))


def test_an_unknown_voice_gets_a_suggestion_and_the_list(voices: dict[str, Voice]) -> None:
    with pytest.raises(VoiceError, match=r"no voice 'mave'; there is ada, .*Did you mean 'maeve'"):
        choose_voice("mave", voices)
    with pytest.raises(VoiceError, match=r"no voice 'zzzz'.*`podcaster voice list`"):
        choose_voice("zzzz", voices)
    assert choose_voice(" Ada", voices).name == "ada"


def test_a_regional_language_is_spoken_by_who_speaks_the_tongue() -> None:
    voice = cloned(None)
    assert speaks(voice, "en-GB")
    assert not speaks(voice, "de")
