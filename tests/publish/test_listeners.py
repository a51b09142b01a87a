import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from podcaster.errors import InputError
from podcaster.publish.listeners import (
    TOKEN_PATTERN,
    add_listener,
    find_listener,
    list_listeners,
    listeners_path,
    revoke_listener,
)


def test_a_token_is_long_and_only_its_hash_is_kept(home: Path) -> None:
    listener, token = add_listener(home, "Ana")
    assert TOKEN_PATTERN.fullmatch(token)  # 32 characters of 6 bits: 192 bits
    stored = listeners_path(home).read_text()
    assert token not in stored
    assert listener.token_sha256 in stored
    assert stat.S_IMODE(listeners_path(home).stat().st_mode) == 0o600


def test_the_file_stays_private_when_it_was_not(home: Path) -> None:
    add_listener(home, "Ana")
    listeners_path(home).chmod(0o644)
    add_listener(home, "Bo")
    assert stat.S_IMODE(listeners_path(home).stat().st_mode) == 0o600


def test_every_token_is_another_and_finds_its_listener(home: Path) -> None:
    tokens = {name: add_listener(home, name)[1] for name in ("Ana", "Bo", "محمد", "🎧")}
    assert len(set(tokens.values())) == 4
    assert not any(token.startswith("-") for token in tokens.values())
    for name, token in tokens.items():
        found = find_listener(list_listeners(home), token)
        assert found is not None
        assert found.name == name


@pytest.mark.parametrize("guess", ["", "x" * 32, "\x00", "é" * 32, "../" * 10, "\ud800"])
def test_a_guess_finds_nobody(home: Path, guess: str) -> None:
    add_listener(home, "Ana")
    assert find_listener(list_listeners(home), guess) is None


def test_the_stored_hash_is_not_a_token(home: Path) -> None:
    listener, _ = add_listener(home, "Ana")
    assert find_listener([listener], listener.token_sha256) is None


def test_a_revoked_listener_is_found_no_more_and_the_others_are(home: Path) -> None:
    _, ana = add_listener(home, "Ana")
    _, bo = add_listener(home, "Bo")
    revoked = revoke_listener(home, "ana")
    assert revoked.revoked_at is not None
    everybody = list_listeners(home, revoked=True)
    assert find_listener(everybody, ana) is None
    assert find_listener(everybody, bo) is not None
    assert [each.name for each in list_listeners(home)] == ["Bo"]


def test_a_name_is_free_again_after_revoking_and_the_old_token_stays_dead(home: Path) -> None:
    _, old = add_listener(home, "Ana")
    revoke_listener(home, "Ana")
    _, new = add_listener(home, "Ana")
    everybody = list_listeners(home, revoked=True)
    assert find_listener(everybody, old) is None
    assert find_listener(everybody, new) is not None


@pytest.mark.parametrize("name", ["Ana", "ANA", " ana ", "Ａｎａ", "A\x00na"])
def test_a_name_that_looks_the_same_is_taken(home: Path, name: str) -> None:
    add_listener(home, "Ana")
    with pytest.raises(InputError, match="There is already a listener") as caught:
        add_listener(home, name)
    assert "podcaster feed listener revoke" in str(caught.value)


@pytest.mark.parametrize("name", ["", "  ", "\x00\n\x07", "x" * 81, "\u202e"])
def test_a_name_must_be_one_that_can_be_shown(home: Path, name: str) -> None:
    with pytest.raises(InputError, match="A listener's name has 1 to 80 characters"):
        add_listener(home, name)
    assert not listeners_path(home).exists()


@pytest.mark.parametrize("name", ["../../etc/passwd", "<b>", '"; rm -rf /', "名前"])
def test_any_other_name_is_just_a_name(home: Path, name: str) -> None:
    assert add_listener(home, name)[0].name == name
    assert [path.name for path in (home / "feed").iterdir() if "passwd" in path.name] == []


def test_revoking_a_stranger_names_the_list(home: Path) -> None:
    with pytest.raises(InputError, match="There is no listener 'Zoe'") as caught:
        revoke_listener(home, "Zoe")
    assert "podcaster feed listener list" in str(caught.value)


def test_without_a_feed_nobody_can_listen(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="There is no feed"):
        add_listener(tmp_path, "Ana")
    assert not (tmp_path / "feed").exists()


def test_changes_at_the_same_time_are_all_kept(home: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda n: add_listener(home, f"listener {n}"), range(24)))
    assert len(list_listeners(home)) == 24


def test_a_broken_list_is_named(home: Path) -> None:
    listeners_path(home).write_text('{"listeners": 3}')
    with pytest.raises(InputError, match=r"listeners\.json is not a valid listeners"):
        list_listeners(home)
