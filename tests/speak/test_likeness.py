"""Somebody's likeness on Kokoro: real weights, real recordings."""

from collections.abc import Iterator
from pathlib import Path

import msgspec
import numpy as np
import pytest

pytest.importorskip("pyworld", reason="the base install has it: pyworld-prebuilt")

from podcaster import audio
from podcaster.engines import open_engine
from podcaster.errors import EngineMissing, VoiceError
from podcaster.model import Voice
from podcaster.speak.derived import derived_path
from podcaster.speak.engine import Speech
from podcaster.speak.likeness.blending import Heard, find_blend
from podcaster.speak.likeness.measures import BANDS_HZ, RATE_HZ, Measures
from podcaster.speak.likeness.pitch import track_pitch
from podcaster.speak.likeness.study import resample
from podcaster.speak.likeness.voicer import Likeness, LikenessVoicer
from podcaster.speak.options import SpeakOptions
from podcaster.voicing import resolve_engine, speech_spec

SHARED = Path(__file__).resolve().parents[2].parent / "shared" / "data" / "audio"
SENTENCES = (
    "The ferry left at noon, and we were still looking for the tickets.",
    "My brother collects maps of places that were never built.",
)


def make_voice(reference: Path, **changes: object) -> Voice:
    voice = Voice(
        name="kim",
        engine="likeness",
        description="Somebody.",
        languages=("en",),
        words_per_minute=165.0,
        licence="none",
        sha256="1" * 64,
        references=(str(reference),),
    )
    return msgspec.structs.replace(voice, **changes)


def hear(pitch_hz: float, print_at: int | None) -> Heard:
    colour = tuple(0.0 for _ in BANDS_HZ)
    measures = Measures(
        pitch_hz=pitch_hz,
        pitch_range_semitones=6.0,
        formant_scale=1.0,
        tilt_db_per_octave=-10.0,
        colour_db=colour,
        voiced_s=5.0,
    )
    return Heard(measures, None if print_at is None else np.eye(8, dtype=np.float32)[print_at])


def test_a_blend_follows_the_print_where_there_is_one_and_else_the_pitch() -> None:
    parts = [hear(100.0, 0), hear(150.0, 1), hear(225.0, 2)]
    assert find_blend(parts, hear(110.0, 2))[2] > 0.5
    unheard = [hear(one.measures.pitch_hz, None) for one in parts]
    shares = find_blend(unheard, hear(110.0, None))
    mixed_hz = 2.0 ** (np.array(shares) @ np.log2([100.0, 150.0, 225.0]))
    assert mixed_hz == pytest.approx(110.0, rel=0.02)
    for found in (shares, find_blend(parts, hear(110.0, 2))):
        assert sum(found) == pytest.approx(1.0)
        assert min(found) >= 0.0
    assert find_blend(unheard, hear(110.0, None)) == shares


@pytest.fixture(scope="module")
def engine() -> Iterator[LikenessVoicer]:
    try:
        spec = speech_spec("likeness", SpeakOptions())
    except EngineMissing as error:
        pytest.skip(str(error))
    opened = open_engine("speak", "likeness", **spec.settings)
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def kim(tmp_path_factory: pytest.TempPathFactory) -> Voice:
    """A voice of Steve's recording, copied to where what is found may be kept."""
    source = SHARED / "steve-reference.wav"
    if not source.is_file():
        pytest.skip("the recording of Steve is not beside the repository")
    place = tmp_path_factory.mktemp("kim") / source.name
    place.write_bytes(source.read_bytes())
    return make_voice(place)


def median_hz(speech: Speech) -> float:
    pitch_hz = track_pitch(resample(speech), RATE_HZ).pitch_hz
    return float(np.median(pitch_hz[pitch_hz > 0]))


@pytest.mark.engine
@pytest.mark.weights
def test_a_likeness_has_the_pitch_and_is_kept_and_the_same_again(
    engine: LikenessVoicer, kim: Voice
) -> None:
    speech = engine.say(SENTENCES, kim, language="en", seed=4)
    again = engine.say(SENTENCES, kim, language="en", seed=4)
    assert np.array_equal(speech.samples, again.samples)
    assert 0.02 < np.abs(speech.samples).max() < 0.901  # float32
    assert median_hz(speech) == pytest.approx(engine.study(kim).shape.wanted_hz, rel=0.06)
    end = round(speech.sentence_ends_s[0] * speech.sample_rate_hz)
    pause = speech.samples[end : end + round(0.1 * speech.sample_rate_hz)]
    assert len(pause)
    assert not pause.any()
    kept = msgspec.json.decode(derived_path(kim, engine.id, ".json").read_bytes(), type=Likeness)
    assert kept == engine.study(kim)
    assert sum(kept.blend.values()) == pytest.approx(1.0)
    slow = msgspec.structs.replace(kim, words_per_minute=130.0)
    assert len(engine.say(SENTENCES, slow, language="en", seed=4).samples) > 1.1 * len(
        speech.samples
    )
    wrong = msgspec.structs.replace(kim, engine_settings={"accent": "martian"})
    with pytest.raises(VoiceError, match="settings of voice 'kim' are wrong"):
        engine.say(SENTENCES, wrong, language="en", seed=1)


@pytest.mark.engine
@pytest.mark.weights
def test_it_is_nearer_to_its_own_reference_than_to_another(
    engine: LikenessVoicer, kim: Voice
) -> None:
    pytest.importorskip("torch", reason="voiceprints need podcaster[asr]")
    from podcaster.voiceprint import Encoder

    other = SHARED / "katie-reference.wav"
    encoder = Encoder()
    own, stranger = (
        encoder.embed(np.concatenate(list(audio.decode(path, RATE_HZ, 1))))
        for path in (Path(kim.references[0]), other)
    )
    for text in SENTENCES:
        heard = encoder.embed(resample(engine.say([text], kim, language="en", seed=7)))
        assert heard @ own > heard @ stranger + 0.02


def test_other_languages_are_sketched() -> None:
    voice = make_voice(Path("nowhere.wav"))
    options = SpeakOptions()
    try:
        speech_spec("likeness", options)
    except EngineMissing as error:
        pytest.skip(str(error))
    assert resolve_engine(voice, options, "en").engine == "likeness"
    assert resolve_engine(voice, options, "pt-br").engine == "likeness"
    assert resolve_engine(voice, options, "de").engine == "likeness_sketch"
