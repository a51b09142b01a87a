import itertools

import msgspec
import pytest

from podcaster.errors import VoiceError
from podcaster.model import Consent, Role, Speaker, Voice
from podcaster.speak.casting import CLEAR_CONTRAST, cast_voices, contrast
from tests.speak.test_voices import Notes, cloned


def speaker(name: str, role: Role, voice: str | None = None) -> Speaker:
    return Speaker(id=name.lower().replace(" ", "-"), name=name, role=role, voice=voice)


HOST, GUEST = speaker("Robin Hale", "host"), speaker("Barack Obama", "guest")


def test_host_and_guest_always_contrast_clearly(voices: dict[str, Voice]) -> None:
    names = ["Kim", "Ada Lovelace", "Bo", "Çelik Ünal", "李小龙", "😀", "x" * 120]
    for host, guest in itertools.permutations(names, 2):
        speakers = [
            Speaker(id="h", name=host, role="host"),
            Speaker(id="g", name=guest, role="guest"),
        ]
        cast = cast_voices(speakers, voices, {}, language="en")
        assert contrast(cast["h"], cast["g"]) >= CLEAR_CONTRAST


def test_namesakes_get_different_voices(voices: dict[str, Voice]) -> None:
    speakers = [Speaker(id="h", name="Kim", role="host"), Speaker(id="g", name="Kim", role="guest")]
    cast = cast_voices(speakers, voices, {}, language="en")
    assert cast["h"].name != cast["g"].name


def test_the_same_guest_has_the_same_voice_with_any_host(voices: dict[str, Voice]) -> None:
    chosen = {
        cast_voices([speaker(host, "host"), GUEST], voices, {}, language="en")[GUEST.id].name
        for host in ("Robin Hale", "Kim", "Jo")
    }
    assert len(chosen) == 1


def test_different_guests_do_not_all_have_the_same_voice(voices: dict[str, Voice]) -> None:
    chosen = {
        cast_voices([speaker(f"Guest {i}", "guest")], voices, {}, language="en")[f"guest-{i}"].name
        for i in range(40)
    }
    assert len(chosen) >= 6


def test_somebodys_own_voice_speaks_for_who_bears_its_name(voices: dict[str, Voice]) -> None:
    consent = Consent(kind="self", by="Kim Example", on="2026-11-21", proof="said so")
    own = msgspec.structs.replace(cloned(consent), name="barack-obama", languages=("en",))
    known = {**voices, own.name: own}
    assert cast_voices([HOST, GUEST], known, {}, language="en")[GUEST.id] == own
    asked = cast_voices([HOST, GUEST], known, {"guest": "tess"}, language="en")
    assert asked[GUEST.id].name == "tess"
    # it speaks no French
    assert cast_voices([HOST, GUEST], known, {}, language="fr")[GUEST.id] != own


def test_a_namesake_without_consent_is_told_and_does_not_speak(voices: dict[str, Voice]) -> None:
    own = msgspec.structs.replace(cloned(None), name="barack-obama", languages=("en",))
    notes = Notes()
    cast = cast_voices([HOST, GUEST], {**voices, own.name: own}, {}, language="en", progress=notes)
    assert cast[GUEST.id].references == ()
    assert any("barack-obama" in line and "consent" in line for line in notes.lines)


@pytest.mark.parametrize("key", ["barack-obama", "barack OBAMA", "guest"])
def test_a_voice_is_asked_for_by_id_name_or_role(voices: dict[str, Voice], key: str) -> None:
    cast = cast_voices([HOST, GUEST], voices, {key: "tess"}, language="en")
    assert cast[GUEST.id].name == "tess"
    assert contrast(cast[HOST.id], cast[GUEST.id]) >= CLEAR_CONTRAST


def test_an_id_is_closer_than_a_role_and_a_request_than_the_script(
    voices: dict[str, Voice],
) -> None:
    asked = {"guest": "tess", "barack-obama": "hugo"}
    cast = cast_voices([HOST, GUEST], voices, asked, language="en")
    assert cast[GUEST.id].name == "hugo"
    scripted = speaker("Barack Obama", "guest", voice="finn")
    assert cast_voices([scripted], voices, {}, language="en")[GUEST.id].name == "finn"
    assert cast_voices([scripted], voices, asked, language="en")[GUEST.id].name == "hugo"


def test_two_who_ask_for_one_voice_get_it(voices: dict[str, Voice]) -> None:
    cast = cast_voices([HOST, GUEST], voices, {"host": "ada", "guest": "ada"}, language="en")
    assert {voice.name for voice in cast.values()} == {"ada"}


def test_a_voice_asked_for_one_is_taken_from_the_other(voices: dict[str, Voice]) -> None:
    host = speaker("Robin Hale", "host", voice="ada")
    cast = cast_voices([host, GUEST], voices, {"guest": "ada"}, language="en")
    assert cast[GUEST.id].name == "ada"
    assert contrast(cast[host.id], cast[GUEST.id]) >= CLEAR_CONTRAST


def test_every_voice_is_used_before_one_is_shared(voices: dict[str, Voice]) -> None:
    speakers = [speaker(f"Kim {i}", "other") for i in range(len(voices) * 2)]
    cast = cast_voices(speakers, voices, {}, language="en")
    assert list(cast) == [who.id for who in speakers]
    uses = [sum(v.name == name for v in cast.values()) for name in voices]
    assert uses == [2] * len(voices)


def test_an_unknown_voice_is_an_error(voices: dict[str, Voice]) -> None:
    with pytest.raises(VoiceError, match="Did you mean 'otis'"):
        cast_voices([HOST], voices, {"host": "otsi"}, language="en")


def test_a_voice_that_does_not_speak_the_language_is_an_error(voices: dict[str, Voice]) -> None:
    german = msgspec.structs.replace(voices["ada"], name="gerda", languages=("de",))
    with pytest.raises(VoiceError, match="'gerda', asked for 'Robin Hale', does not speak this"):
        cast_voices([HOST], {**voices, "gerda": german}, {"host": "gerda"}, language="en")
    with pytest.raises(VoiceError, match="No built-in voice speaks 'tlh'"):
        cast_voices([HOST], voices, {}, language="tlh")


def test_without_consent_a_built_in_voice_speaks_and_it_is_said(voices: dict[str, Voice]) -> None:
    notes = Notes()
    cast = cast_voices(
        [HOST, GUEST],
        {**voices, "kim": cloned(None)},
        {"guest": "kim"},
        language="en",
        progress=notes,
    )
    assert cast[GUEST.id].name in voices
    (line,) = notes.lines
    assert "has no consent" in line
    assert line.endswith("A built-in voice speaks for Barack Obama instead.")


def test_a_cloned_voice_is_never_cast_unasked(voices: dict[str, Voice]) -> None:
    only = {"kim": cloned(None), "ada": voices["ada"], "otis": voices["otis"]}
    for i in range(20):
        cast = cast_voices([speaker(f"G {i}", "guest")], only, {}, language="en")
        assert cast[f"g-{i}"].name in ("ada", "otis")
