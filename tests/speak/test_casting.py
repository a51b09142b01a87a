import itertools

import msgspec
import pytest

from podcaster.errors import VoiceError
from podcaster.model import Consent, Role, Speaker, Voice
from podcaster.speak.casting import CLEAR_CONTRAST, cast_voices, contrast
from podcaster.speak.names import find_gender
from tests.speak.test_voices import Notes, cloned


def speaker(name: str, role: Role, voice: str | None = None) -> Speaker:
    return Speaker(id=name.lower().replace(" ", "-"), name=name, role=role, voice=voice)


HOST, GUEST = speaker("Robin Hale", "host"), speaker("Barack Obama", "guest")


def test_host_and_guest_always_contrast_clearly(builtin: dict[str, Voice]) -> None:
    names = ["Kim", "Ada Lovelace", "Bo", "Çelik Ünal", "李小龙", "😀", "x" * 120]
    for host, guest in itertools.permutations(names, 2):
        speakers = [
            Speaker(id="h", name=host, role="host"),
            Speaker(id="g", name=guest, role="guest"),
        ]
        cast = cast_voices(speakers, builtin, {}, language="en")
        # where a name asks for a woman's voice, a third of an octave must do
        least = CLEAR_CONTRAST if "Ada Lovelace" not in (host, guest) else 0.3
        assert contrast(cast["h"], cast["g"]) >= least


def test_namesakes_get_different_voices(builtin: dict[str, Voice]) -> None:
    speakers = [Speaker(id="h", name="Kim", role="host"), Speaker(id="g", name="Kim", role="guest")]
    cast = cast_voices(speakers, builtin, {}, language="en")
    assert cast["h"].name != cast["g"].name


def test_the_same_guest_has_the_same_voice_with_any_host(builtin: dict[str, Voice]) -> None:
    chosen = {
        cast_voices([speaker(host, "host"), GUEST], builtin, {}, language="en")[GUEST.id].name
        for host in ("Robin Hale", "Kim", "Jo")
    }
    assert len(chosen) == 1


def test_different_guests_do_not_all_have_the_same_voice(builtin: dict[str, Voice]) -> None:
    chosen = {
        cast_voices([speaker(f"Guest {i}", "guest")], builtin, {}, language="en")[f"guest-{i}"].name
        for i in range(40)
    }
    assert len(chosen) >= 6


def test_somebodys_own_voice_speaks_for_who_bears_its_name(builtin: dict[str, Voice]) -> None:
    consent = Consent(kind="self", by="Kim Example", on="2026-11-21", proof="said so")
    own = msgspec.structs.replace(cloned(consent), name="barack-obama", languages=("en",))
    known = {**builtin, own.name: own}
    assert cast_voices([HOST, GUEST], known, {}, language="en")[GUEST.id] == own
    asked = cast_voices([HOST, GUEST], known, {"guest": "tess"}, language="en")
    assert asked[GUEST.id].name == "tess"
    # it speaks no French
    assert cast_voices([HOST, GUEST], known, {}, language="fr")[GUEST.id] != own


def test_a_namesake_without_consent_is_told_and_does_not_speak(builtin: dict[str, Voice]) -> None:
    own = msgspec.structs.replace(cloned(None), name="barack-obama", languages=("en",))
    notes = Notes()
    cast = cast_voices([HOST, GUEST], {**builtin, own.name: own}, {}, language="en", progress=notes)
    assert cast[GUEST.id].references == ()
    assert any("barack-obama" in line and "consent" in line for line in notes.lines)


@pytest.mark.parametrize("key", ["barack-obama", "barack OBAMA", "guest"])
def test_a_voice_is_asked_for_by_id_name_or_role(builtin: dict[str, Voice], key: str) -> None:
    cast = cast_voices([HOST, GUEST], builtin, {key: "tess"}, language="en")
    assert cast[GUEST.id].name == "tess"
    assert contrast(cast[HOST.id], cast[GUEST.id]) >= CLEAR_CONTRAST


def test_an_id_is_closer_than_a_role_and_a_request_than_the_script(
    builtin: dict[str, Voice],
) -> None:
    asked = {"guest": "tess", "barack-obama": "hugo"}
    cast = cast_voices([HOST, GUEST], builtin, asked, language="en")
    assert cast[GUEST.id].name == "hugo"
    scripted = speaker("Barack Obama", "guest", voice="finn")
    assert cast_voices([scripted], builtin, {}, language="en")[GUEST.id].name == "finn"
    assert cast_voices([scripted], builtin, asked, language="en")[GUEST.id].name == "hugo"


def test_two_who_ask_for_one_voice_get_it(builtin: dict[str, Voice]) -> None:
    cast = cast_voices([HOST, GUEST], builtin, {"host": "ada", "guest": "ada"}, language="en")
    assert {voice.name for voice in cast.values()} == {"ada"}


def test_a_voice_asked_for_one_is_taken_from_the_other(builtin: dict[str, Voice]) -> None:
    host = speaker("Robin Hale", "host", voice="ada")
    cast = cast_voices([host, GUEST], builtin, {"guest": "ada"}, language="en")
    assert cast[GUEST.id].name == "ada"
    assert contrast(cast[host.id], cast[GUEST.id]) >= CLEAR_CONTRAST


def test_every_voice_is_used_before_one_is_shared(builtin: dict[str, Voice]) -> None:
    english = [name for name, voice in builtin.items() if voice.languages[0] == "en"]
    speakers = [speaker(f"Kim {i}", "other") for i in range(len(english) * 2)]
    cast = cast_voices(speakers, builtin, {}, language="en")
    assert list(cast) == [who.id for who in speakers]
    uses = [sum(v.name == name for v in cast.values()) for name in english]
    assert uses == [2] * len(english)


def test_an_unknown_voice_is_an_error(builtin: dict[str, Voice]) -> None:
    with pytest.raises(VoiceError, match="Did you mean 'otis'"):
        cast_voices([HOST], builtin, {"host": "otsi"}, language="en")


def test_a_voice_that_does_not_speak_the_language_is_an_error(builtin: dict[str, Voice]) -> None:
    german = msgspec.structs.replace(builtin["ada"], name="gerda", languages=("de",))
    with pytest.raises(VoiceError, match="'gerda', asked for 'Robin Hale', does not speak this"):
        cast_voices([HOST], {**builtin, "gerda": german}, {"host": "gerda"}, language="en")
    with pytest.raises(VoiceError, match="No built-in voice speaks 'tlh'"):
        cast_voices([HOST], builtin, {}, language="tlh")


def test_without_consent_a_built_in_voice_speaks_and_it_is_said(builtin: dict[str, Voice]) -> None:
    notes = Notes()
    cast = cast_voices(
        [HOST, GUEST],
        {**builtin, "kim": cloned(None)},
        {"guest": "kim"},
        language="en",
        progress=notes,
    )
    assert cast[GUEST.id].name in builtin
    (line,) = notes.lines
    assert "has no consent" in line
    assert line.endswith("A built-in voice speaks for Barack Obama instead.")


def test_a_cloned_voice_is_never_cast_unasked(builtin: dict[str, Voice]) -> None:
    only = {"kim": cloned(None), "ada": builtin["ada"], "otis": builtin["otis"]}
    for i in range(20):
        cast = cast_voices([speaker(f"G {i}", "guest")], only, {}, language="en")
        assert cast[f"g-{i}"].name in ("ada", "otis")


def cast_pair(
    host: str, guest: str, builtin: dict[str, Voice], language: str = "en"
) -> list[Voice]:
    speakers = [
        Speaker(id="h", name=host, role="host"),
        Speaker(id="g", name=guest, role="guest"),
    ]
    return list(cast_voices(speakers, builtin, {}, language=language).values())


def test_a_voice_suits_a_name_that_is_plainly_a_womans_or_a_mans(
    builtin: dict[str, Voice],
) -> None:
    for name in ("Marie Curie", "Lady Gaga", "Mrs. Dalloway", "Queen Victoria", "Frida Kahlo"):
        host, guest = cast_pair("Robin Hale", name, builtin)
        assert guest.gender == "f", name
        assert contrast(host, guest) >= CLEAR_CONTRAST
    for name in ("Barack Obama", "Sir Isaac Newton", "Dr. Albert Schweitzer", "José Saramago"):
        host, guest = cast_pair("Robin Hale", name, builtin)
        assert guest.gender == "m", name
        assert contrast(host, guest) >= CLEAR_CONTRAST
    two = cast_pair("Grace Hopper", "Ada Lovelace", builtin)
    assert [voice.gender for voice in two] == ["f", "f"]
    assert two[0].name != two[1].name


@pytest.mark.parametrize(
    ("name", "gender"),
    [
        ("Stephen King", "m"),
        ("Professor Angela Davis", "f"),
        ("the Queen of Sheba", "f"),
        ("Søren Kierkegaard", "m"),
        ("Chloé Zhao", "f"),
        ("Robin Hale", None),
        ("Kim", None),
        ("Dr. Who", None),
        ("李小龙", None),
        ("", None),
    ],
)
def test_a_title_or_a_first_name_makes_it_plain(name: str, gender: str | None) -> None:
    assert find_gender(name) == gender


def test_each_language_is_spoken_by_its_own_and_others_by_sketches(
    builtin: dict[str, Voice],
) -> None:
    tongues = {voice.languages[0] for voice in builtin.values()}
    assert len(tongues) >= 6
    for language in ("en", "en-GB", "es", "fr", "it", "hi", "pt"):
        cast = cast_pair("Kim", "Sam", builtin, language)
        assert {voice.languages[0].partition("-")[0] for voice in cast} == {
            language.partition("-")[0]
        }
        assert {voice.engine for voice in cast} == {"kokoro"}
        assert cast[0].name != cast[1].name
    assert {voice.engine for voice in cast_pair("Kim", "Sam", builtin, "de")} == {"espeak"}
