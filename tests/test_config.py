"""The ladder of configuration, origins, and problems told all at once."""

from pathlib import Path
from typing import Any

import pytest

from podcaster import config
from podcaster.errors import ConfigError


def load(
    home: Path, flags: dict[str, Any] | None = None, **environment: str
) -> config.Configuration:
    return config.load_configuration(home, flags or {}, environment)


def test_flag_beats_variable_beats_file_beats_default(tmp_path: Path) -> None:
    key = "write.minutes"
    steps = [(load(tmp_path), 5.0, "default")]
    (tmp_path / "podcaster.toml").write_text("[write]\nminutes = 6\n")
    steps.append((load(tmp_path), 6.0, "podcaster.toml"))
    steps.append((load(tmp_path, PODCASTER_WRITE_MINUTES="7"), 7.0, "PODCASTER_WRITE_MINUTES"))
    steps.append((load(tmp_path, {key: 8.0}, PODCASTER_WRITE_MINUTES="7"), 8.0, "flag"))
    for configuration, value, origin in steps:
        assert configuration.settings.write.minutes == value
        assert configuration.origins[key] == origin


def test_all_problems_are_told_together_with_suggestions(tmp_path: Path) -> None:
    (tmp_path / "podcaster.toml").write_text("[write]\nminuts = 3\nminutes = 0\n[mixx]\na = 1\n")
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, {"write.guest": "x" * 300}, PODCASTER_MIX_MUSIC="maybe", PODCASTER_SEDE="1")
    text = str(caught.value)
    assert "has 6 problems" in text
    assert "'write.minuts' (did you mean 'write.minutes'?)" in text
    assert "unknown key 'mixx'" in text
    assert "PODCASTER_SEDE is unknown (did you mean 'PODCASTER_SEED'?)" in text
    assert "write.minutes (podcaster.toml): expected float >= 1.0, got 0" in text
    assert "mix.music (PODCASTER_MIX_MUSIC): expected bool, got 'maybe'" in text
    assert "write.guest (flag): expected str of length <= 120, got 'xxx" in text
    assert len(text) < 1000


@pytest.mark.parametrize("minutes", [0, -1, 600, float("nan"), float("inf"), "long"])
def test_an_impossible_length_is_refused(tmp_path: Path, minutes: Any) -> None:
    with pytest.raises(ConfigError, match=r"write\.minutes \(flag\): expected float"):
        load(tmp_path, {"write.minutes": minutes})


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"seed = ", "not valid TOML"),
        (b"\xff\xfe", "cannot be read as UTF-8"),
        (b"write = 3", "write must be a table"),
        (b"x = 1\n" * 200_000, "expected at most"),
    ],
)
def test_a_broken_file_is_a_sentence(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "podcaster.toml").write_bytes(content)
    with pytest.raises(ConfigError, match=message):
        load(tmp_path)


def test_a_run_keeps_its_settings_with_their_origins(tmp_path: Path) -> None:
    (tmp_path / "podcaster.toml").write_text('[speak]\nvoices = {host = "a"}\n')
    hostile = 'Bö"\n[write] # 🎉'
    loaded = load(tmp_path, {"write.guest": hostile, "write.topics": ["a", "b # c"]})
    text = config.format_configuration(loaded)
    assert "# podcaster.toml" in text
    assert "# flag" in text
    settings = config.parse_configuration(text, "config.toml")
    assert settings == loaded.settings
    assert settings.write.guest == hostile


def test_an_edited_run_configuration_is_checked(tmp_path: Path) -> None:
    text = config.format_configuration(load(tmp_path, {"mix.gap_ms": 99.0}))
    text = text.replace("gap_ms = 99.0", "gap_ms = -3", 1)
    with pytest.raises(ConfigError, match=r"mix\.gap_ms: expected float >= 0\.0, got -3"):
        config.parse_configuration(text, "runs/x/config.toml")


def test_every_setting_says_what_it_means_and_can_be_set_by_a_variable(tmp_path: Path) -> None:
    settings = config.list_settings()
    assert len(settings) > 20
    assert all(setting.description for setting in settings)
    assert len({setting.variable for setting in settings}) == len(settings)
    lists = load(tmp_path, PODCASTER_WRITE_TOPICS="one topic", PODCASTER_WRITE_NOTES='["a", "b"]')
    assert lists.settings.write.topics == ("one topic",)
    assert lists.settings.write.notes == ("a", "b")
