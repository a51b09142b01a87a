"""The voice library: consent, checks before anything is written, whole voices only, removal."""

import json
import os
import shutil
import threading
from datetime import date, timedelta
from pathlib import Path

import msgspec
import numpy as np
import pytest

from podcaster import episode as episodes
from podcaster.audio import Samples, probe, write_wav
from podcaster.errors import (
    ConfigError,
    ConsentMissing,
    InputError,
    PodcasterError,
    RunLocked,
    VoiceError,
)
from podcaster.model import Consent, Episode, Record, Transcript, Utterance, to_json
from podcaster.publish.episodes import add_episode
from podcaster.publish.feed import init_feed, read_feed
from podcaster.publish.stage import Details
from podcaster.run import Run, create_run, sha256_file, write_record
from podcaster.speak.options import SpeakOptions
from podcaster.speak.voices import check_consent, find_voices, read_voice
from podcaster.voice_library import (
    add_show_voice,
    add_voice,
    describe_added,
    list_voice_rows,
    read_checks,
)
from podcaster.voice_removal import describe_removed, find_uses, remove_voice
from podcaster.voice_requests import Request, check_name, make_consent
from podcaster.voice_shelf import WORKBENCH, lock_voices, make_workplace
from podcaster.voicing import choose_cloning_engine
from tests.speakers.spoken_show import RATE_HZ, SHOW, Notes, SpokenShow, speak

AUDIO = Path(__file__).parents[2] / "shared" / "data" / "audio"
CONSENT = Consent(kind="written", by="Kim Example", on="2026-01-02", proof="consent.pdf")
TEXT = (
    "The harbour was quiet that morning, and the gulls had left. Nobody had told the keeper that "
    "the lamp was out. When the storm came in from the west they went up to the light and waited."
)


def request(name: str = "kim", **more: object) -> Request:
    return Request(name, CONSENT, **more)  # type: ignore[arg-type]


def record(path: Path) -> Path:
    path.parent.mkdir()
    hiss = np.random.default_rng(0).standard_normal(len(speak("ada", TEXT))) * 1e-4
    sound = (speak("ada", TEXT) + hiss).astype(np.float32)
    write_wav(path, np.concatenate([sound, np.zeros(2 * RATE_HZ, np.float32), sound]), RATE_HZ)
    return path


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    return record(tmp_path / "in" / "kim.wav")


@pytest.fixture(scope="session")
def ready(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a voice that was added once for all tests that do not add it themselves."""
    home = tmp_path_factory.mktemp("ready")
    add(home, record(home / "in" / "kim.wav"))
    return home / "voices" / "kim"


@pytest.fixture
def kim(tmp_path: Path, ready: Path) -> Path:
    return Path(shutil.copytree(ready, tmp_path / "voices" / "kim"))


def add(home: Path, recording: Path, name: str = "kim", **more: object) -> None:
    add_voice(home, request(name, **more), [recording], Notes())


def tree(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*"))


def test_a_voice_comes_in_from_a_file_and_may_speak(tmp_path: Path, recording: Path) -> None:
    before = recording.read_bytes()
    added = add_voice(tmp_path, request(languages=("en", "de")), [recording], Notes())
    voice = find_voices(tmp_path)["kim"]
    assert voice == added.voice
    assert voice.consent == CONSENT
    assert voice.engine == "clone"
    assert voice.languages == ("en", "de")
    assert 120 < voice.words_per_minute < 240
    assert added.pace_source == "estimated from the sound"
    check_consent(voice)
    assert recording.read_bytes() == before
    result = json.loads(json.dumps(describe_added(added)))
    (reference,) = result["references"]
    assert (reference["source"], reference["verdict"]) == ("kim.wav", "good")
    # two seconds of silence are not kept
    assert reference["duration_s"] < 2 * len(speak("ada", TEXT)) / RATE_HZ + 1
    assert not (tmp_path / "voices" / WORKBENCH).exists()


def test_the_list_says_what_speaks_now_and_how_good_it_is(tmp_path: Path, recording: Path) -> None:
    add(tmp_path, recording, words_per_minute=151.0)
    rows = {row["name"]: row for row in list_voice_rows(tmp_path, Notes())}
    kim = rows["kim"]
    assert kim["engine"] == choose_cloning_engine(SpeakOptions(), "en")
    assert (kim["configured_engine"], kim["quality"], kim["consent"]) == (
        "clone",
        "good",
        "written",
    )
    assert (kim["words_per_minute"], kim["pace_source"]) == (151.0, "given")
    assert (rows["ada"]["engine"], rows["ada"]["consent_needed"]) == ("kokoro", False)
    # other references: nobody has checked those
    reference = Path(find_voices(tmp_path)["kim"].references[0])
    write_wav(reference, speak("otis", TEXT), RATE_HZ)
    rows = {row["name"]: row for row in list_voice_rows(tmp_path, Notes())}
    assert rows["kim"]["quality"] is None


def test_damaged_checks_are_none(tmp_path: Path, kim: Path) -> None:
    voice = find_voices(tmp_path)["kim"]
    (kept,) = (tmp_path / "voices" / "kim" / "derived").iterdir()
    assert read_checks(voice) is not None
    kept.write_bytes(b"\x00{")
    assert read_checks(voice) is None


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ((None, None, None, None), "--consent is missing: self, written, licensed, public-domain"),
        (("verbal", "Kim", None, "x"), "'verbal' is none of these"),
        (("self", None, None, None), 'Type --consent self --by "Kim Example".'),
        (("written", " ", None, "x"), "--by is missing"),
        (("written", "Kim", None, None), '--consent written --by "Kim" --proof consent.pdf'),
        (("licensed", "Kim", "yesterday", "x"), "'yesterday' is no day"),
        (("licensed", "Kim", (date.today() + timedelta(2)).isoformat(), "x"), "is no day"),
        (("written", "Kim\x1b[2J", None, "x"), "cannot be printed"),
        (("written", "K" * 501, None, "x"), "501 characters"),
    ],
)
def test_a_consent_that_lacks_something_says_what_to_type(
    given: tuple[str | None, ...], says: str
) -> None:
    with pytest.raises(ConfigError) as raised:
        make_consent(*given)
    assert says in str(raised.value)


def test_who_records_their_own_voice_needs_no_other_proof() -> None:
    consent = make_consent("self", "Kim", None, None)
    assert consent.on == date.today().isoformat()
    assert "own statement" in consent.proof


@pytest.mark.parametrize("name", ["Kim", "../kim", "", ".", "kim\n", "a/b", "-k", "k" * 65, "kïm"])
def test_a_name_that_is_no_name_is_refused(name: str) -> None:
    with pytest.raises(ConfigError, match="cannot be the name of a voice"):
        check_name(name)


def test_nothing_is_written_where_anything_is_wrong(tmp_path: Path, recording: Path) -> None:
    quiet = tmp_path / "in" / "quiet.wav"
    write_wav(quiet, np.zeros(20 * RATE_HZ, np.float32), RATE_HZ)
    bad: list[tuple[Request, list[Path], type[PodcasterError], str]] = [
        (request("Kim"), [recording], ConfigError, "Type for example kim."),
        (request(languages=("English!",)), [recording], ConfigError, "no code of a language"),
        (request(words_per_minute=4000.0), [recording], ConfigError, "no pace"),
        (request(words_per_minute=float("nan")), [recording], ConfigError, "no pace"),
        (request(description="a\nb"), [recording], ConfigError, "one line"),
        (request(), [], ConfigError, "no recording"),
        (request(), [recording] * 51, ConfigError, "51 recordings"),
        (request(), [recording, tmp_path / "none.wav"], InputError, "none.wav is not a file"),
        (request(), [tmp_path], InputError, "is not a file"),
        (request(), [quiet], VoiceError, "0.0 s of speech in 20.0 s"),
        (request("ada"), [recording], VoiceError, "built-in voice"),
    ]
    for asked, files, kind, says in bad:
        with pytest.raises(kind) as raised:
            add_voice(tmp_path, asked, files, Notes())
        assert says in str(raised.value)
        assert not (tmp_path / "voices").exists()


def test_what_is_no_audio_is_left_out_and_told(tmp_path: Path, recording: Path) -> None:
    for name, data in (("a.wav", b""), ("b.mp3", b"ID3" + bytes(900)), ("c.wav", b"RIFF\xff\xff")):
        (tmp_path / "in" / name).write_bytes(data)
    files = sorted((tmp_path / "in").iterdir())
    added = add_voice(tmp_path, request(), files, Notes())
    assert [one.source for one in added.refused] == ["a.wav", "b.mp3", "c.wav"]
    assert len(added.voice.references) == 1
    with pytest.raises(VoiceError, match=r"a\.wav"):
        add_voice(tmp_path, request("alone"), files[:3], Notes())


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.wav")
    with pytest.raises(InputError, match="is not a file"):
        add_voice(tmp_path, request(), [tmp_path / "pipe.wav"], Notes())


def test_an_existing_voice_stays_unless_it_is_to_be_replaced(
    tmp_path: Path, recording: Path, kim: Path
) -> None:
    before = find_voices(tmp_path)["kim"]
    (kim / "derived" / "latents.json").write_text("{}")
    with pytest.raises(VoiceError, match="a voice 'kim' already"):
        add(tmp_path, recording, words_per_minute=99.0)
    assert find_voices(tmp_path)["kim"] == before
    add(tmp_path, recording, words_per_minute=99.0, replace=True)
    assert find_voices(tmp_path)["kim"].words_per_minute == 99.0
    assert not (kim / "derived" / "latents.json").exists()
    add(tmp_path, recording, "ada", replace=True)
    assert find_voices(tmp_path)["ada"].engine == "clone"


def test_a_link_is_replaced_and_removed_and_what_it_leads_to_stays(
    tmp_path: Path, recording: Path
) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "voice.toml").write_text("mine")
    link = tmp_path / "voices" / "kim"
    link.parent.mkdir()
    link.symlink_to(outside)
    with pytest.raises(VoiceError, match="already"):
        add(tmp_path, recording)
    remove_voice(tmp_path, "kim")
    link.symlink_to(outside)
    add(tmp_path, recording, replace=True)
    assert not link.is_symlink()
    assert tree(outside) == ["voice.toml"]


def test_a_killed_process_leaves_no_voice_and_loses_none(tmp_path: Path, kim: Path) -> None:
    voices = tmp_path / "voices"
    # as if it had been killed between the two renames
    bench = make_workplace(voices)
    (voices / "kim").rename(bench / "kim.old")
    shutil.copytree(bench / "kim.old", bench / "kim")
    assert "kim" not in find_voices(tmp_path)
    notes = Notes()
    find_voices(tmp_path, notes)
    assert notes.lines == []
    with lock_voices(tmp_path):
        assert "kim" in find_voices(tmp_path)
    assert not (voices / WORKBENCH).exists()


def test_two_processes_do_not_change_the_library_at_once(tmp_path: Path, recording: Path) -> None:
    raised: list[Exception] = []

    def other() -> None:
        try:
            add(tmp_path, recording, "sam")
        except RunLocked as error:
            raised.append(error)

    with lock_voices(tmp_path):
        thread = threading.Thread(target=other)
        thread.start()
        thread.join()
    assert len(raised) == 1
    assert not (tmp_path / "voices" / "sam").exists()


def spoken_run(home: Path, voice: str, engine: str = "likeness 1") -> Run:
    """A run with one clip of each of two voices, stems and a mixed episode, as the stages leave."""
    run = create_run(home, "A talk", kind="episode", seed=1, version="0")
    clips = run.path / "speak" / "clips"
    clips.mkdir(parents=True)
    for key, name, made_by in (("aa11", voice, engine), ("bb22", "otis", "espeak-ng 1")):
        write_wav(clips / f"{key}.wav", np.zeros(400, np.float32), 8000)
        record = Record(
            stage="speak",
            item=key,
            fingerprint="0" * 64,
            inputs={},
            options={"voice": name},
            engine=made_by,
            outputs={f"clips/{key}.wav": sha256_file(clips / f"{key}.wav")},
            seconds=0.0,
        )
        write_record(clips / f"{key}.record.json", record)
    whole = msgspec.structs.replace(
        record, options={"voices": {"host": voice, "guest": "otis", "../../x": voice}}, outputs={}
    )
    write_record(run.path / "speak" / "record.json", whole)
    for name in ("mix/stems/host.wav", "mix/stems/guest.wav", "mix/episode.mp3", "x.wav"):
        (run.path / name).parent.mkdir(parents=True, exist_ok=True)
        (run.path / name).write_bytes(b"sound")
    write_record(run.path / "mix" / "record.json", whole)
    return run


def test_removing_a_voice_tells_where_it_has_spoken(tmp_path: Path, kim: Path) -> None:
    run = spoken_run(tmp_path, "kim")
    before = tree(run.path)
    removed = remove_voice(tmp_path, "kim")
    assert not (tmp_path / "voices" / "kim").exists()
    assert tree(run.path) == before
    (told,) = describe_removed(removed)["runs"]
    assert (told["run"], told["clips"], told["stems"]) == (run.name, 1, 1)
    # the voice is gone, and its clips are still found
    again = remove_voice(tmp_path, "kim", clips=True)
    assert (again.folder, again.clips_removed, again.stems_removed) == (None, 1, 1)
    left = tree(run.path)
    assert "speak/clips/bb22.wav" in left
    assert "mix/stems/guest.wav" in left
    assert "mix/episode.mp3" in left
    assert not [name for name in left if "aa11" in name or name == "mix/stems/host.wav"]
    with pytest.raises(VoiceError, match="no voice 'kim'"):
        remove_voice(tmp_path, "kim")


def test_a_withdrawn_consent_takes_the_episodes_along(tmp_path: Path, kim: Path) -> None:
    run = spoken_run(tmp_path, "kim")
    removed = remove_voice(tmp_path, "kim", clips=True, episodes=True)
    assert removed.episodes_removed == 1
    assert not (run.path / "mix" / "episode.mp3").exists()
    assert not (run.path / "mix" / "record.json").exists()
    assert find_uses(tmp_path, "kim") == ()


def publish(home: Path, run: Run) -> None:
    """Leave a published episode in the run, and add it to a feed."""
    folder = run.path / "publish"
    folder.mkdir()
    names = ["episode.mp3", "cover.jpg", "episode.vtt", "episode.srt", "transcript.json"]
    for name in (*names, "chapters.json", "notes.html"):
        (folder / name).write_bytes(b"published")
    episode = Episode(
        guid="00000000-0000-5000-8000-000000000001",
        run=run.name,
        title="A talk",
        summary="",
        show_notes_html="",
        language="en",
        published_at="2026-11-20T00:00:00Z",
        duration_s=1.0,
        audio="publish/episode.mp3",
        audio_bytes=9,
        audio_sha256=sha256_file(folder / "episode.mp3"),
        cover="publish/cover.jpg",
        transcript_vtt="publish/episode.vtt",
        transcript_srt="publish/episode.srt",
        transcript_json="publish/transcript.json",
        chapters="publish/chapters.json",
        speakers=(),
        ai_disclosure=True,
    )
    (folder / "episode.json").write_bytes(to_json(episode))
    details = Details(author="", number=0, explicit=False)
    (folder / "details.json").write_bytes(to_json(details))
    init_feed(home, title="Talks", url="https://pod.example.org")
    add_episode(home, run.path)


def test_a_withdrawn_consent_reaches_the_feed(tmp_path: Path, kim: Path) -> None:
    run = spoken_run(tmp_path, "kim")
    publish(tmp_path, run)
    (use,) = find_uses(tmp_path, "kim")
    assert use.in_feed
    assert {path.parent.name for path in use.episodes} == {"mix", "publish"}
    remove_voice(tmp_path, "kim", clips=True, episodes=True)
    assert read_feed(tmp_path)[1] == []
    assert list(tmp_path.rglob("*.mp3")) == []


def test_a_run_in_use_is_left_and_told(tmp_path: Path, kim: Path) -> None:
    run, other = spoken_run(tmp_path, "kim"), spoken_run(tmp_path, "kim")
    with run.lock():
        removed = remove_voice(tmp_path, "kim", clips=True)
    assert set(removed.failures) == {run.name}
    assert removed.clips_removed == 1
    assert (run.path / "speak" / "clips" / "aa11.wav").is_file()
    assert not (other.path / "speak" / "clips" / "aa11.wav").exists()


def test_built_in_voices_stay(tmp_path: Path, recording: Path) -> None:
    with pytest.raises(VoiceError, match="built-in voice, and cannot be removed"):
        remove_voice(tmp_path, "ada")
    add(tmp_path, recording, "ada", replace=True)
    run = spoken_run(tmp_path, "ada", engine="espeak-ng 1")
    removed = remove_voice(tmp_path, "ada", clips=True)
    # what the built-in one of that name has spoken is nobody's
    assert removed.uses == ()
    assert (run.path / "speak" / "clips" / "aa11.wav").is_file()
    assert find_voices(tmp_path)["ada"].engine == "kokoro"


@pytest.mark.parametrize("name", ["nobody", "../in", "..", ".", "", "kim/derived"])
def test_what_is_no_voice_cannot_be_removed(tmp_path: Path, kim: Path, name: str) -> None:
    before = tree(tmp_path)
    with pytest.raises(VoiceError, match="There is no voice"):
        remove_voice(tmp_path, name, clips=True, episodes=True)
    assert tree(tmp_path) == before


@pytest.fixture
def show(tmp_path: Path) -> SpokenShow:
    made = SpokenShow(tmp_path)
    sounds: list[tuple[str, str, Samples]] = [
        ("Jane Doe", TEXT, speak("ada", TEXT)),
        ("John Roe", TEXT, speak("otis", TEXT)),
    ]
    made.add("one", sounds)
    made.ingest()
    return made


def test_a_shows_speaker_becomes_a_voice_by_a_consent(show: SpokenShow) -> None:
    show.identify()
    cut = find_voices(show.home)["jane-doe"]
    with pytest.raises(ConsentMissing):
        check_consent(cut)
    added = add_show_voice(show.home, request("jane-doe"), SHOW, "jane DOE", Notes())
    check_consent(added.voice)
    assert added.voice.references == cut.references
    assert added.voice.words_per_minute == cut.words_per_minute
    assert added.pace_source == f"measured in the show {SHOW}"
    assert added.check.verdict in ("good", "usable")
    # the pipeline runs again, and leaves it alone
    show.identify()
    assert read_voice(show.home / "voices" / "jane-doe" / "voice.toml").consent == CONSENT
    with pytest.raises(VoiceError, match="has a consent already: written, by Kim Example"):
        add_show_voice(show.home, request("jane-doe"), SHOW, "jane-doe", Notes())


def test_a_shows_speaker_is_copied_to_another_name(show: SpokenShow) -> None:
    show.identify()
    added = add_show_voice(show.home, request("jane"), SHOW, "Jane Doe", Notes())
    assert added.pace_source == f"measured in the show {SHOW}"
    voices = find_voices(show.home)
    check_consent(voices["jane"])
    with pytest.raises(ConsentMissing):
        check_consent(voices["jane-doe"])
    assert "Jane Doe" in voices["jane"].description


def test_who_is_not_in_the_show_is_not_found(show: SpokenShow) -> None:
    with pytest.raises(InputError, match="has not been found out"):
        add_show_voice(show.home, request("x"), SHOW, "Jane Doe", Notes())
    show.identify(references=False)
    with pytest.raises(VoiceError, match="--references"):
        add_show_voice(show.home, request("x"), SHOW, "Jane Doe", Notes())
    with pytest.raises(InputError, match=r"No speaker .* jane-doe \(Jane Doe\)"):
        add_show_voice(show.home, request("x"), SHOW, "Nobody", Notes())
    with pytest.raises(InputError, match="no show 'coffee'"):
        add_show_voice(show.home, request("x"), "coffee", "Jane Doe", Notes())


def test_a_real_recordings_speakers_become_voices(tmp_path: Path) -> None:
    """Three real voices of one recording, through the show pipeline, speak an episode."""
    if not (AUDIO / "tea-brew.mp3").is_file():
        pytest.skip("needs shared/data/audio beside the repository")
    segments = json.loads((AUDIO / "tea-brew.json").read_text())["segments"]
    people = ("Ann Lee", "Ben Moss", "Cleo Park")
    made = SpokenShow(tmp_path)
    (tmp_path / "in").mkdir()
    shutil.copy(AUDIO / "tea-brew.mp3", tmp_path / "in" / "tea.mp3")
    made.transcripts["tea"] = Transcript(
        language="en",
        utterances=tuple(
            Utterance(
                text=one["text"],
                start_s=one["start"],
                end_s=one["end"],
                speaker=people[one["speaker"]],
            )
            for one in segments
        ),
        engine="test",
        diariser="test",
        duration_s=352.0,
    )
    made.ingest()
    made.identify()
    for person in people:
        name = person.lower().replace(" ", "-")
        added = add_show_voice(tmp_path, request(name), SHOW, person, Notes())
        assert added.check.verdict == "good", added.check
        assert 150 < added.voice.words_per_minute < 250
        check_consent(find_voices(tmp_path)[name])
    # and they speak an episode, each by the voice that bears the name
    script = tmp_path / "talk.md"
    script.write_text(
        "Ann Lee: Which leaves should a beginner buy?\n"
        "Ben Moss: Any that smell like something you would like to drink.\n"
        "Cleo Park: And water that is not quite boiling!\n"
    )
    flags = {"write.script": str(script), "speak.clone": "likeness", "seed": 1}
    run, settings = episodes.start_episode(tmp_path, flags)
    result = episodes.make_episode(
        tmp_path, run, settings, until="publish", publish=False, progress=Notes()
    )
    assert probe(Path(result["mp3"])).duration_s > 8
    spoken = json.loads((run.path / "speak" / "record.json").read_bytes())
    assert set(spoken["options"]["voices"].values()) == {"ann-lee", "ben-moss", "cleo-park"}
    assert spoken["engine"].startswith("likeness")
    assert spoken["counts"]["faulty"] == 0
    for name in spoken["options"]["voices"].values():
        assert any((tmp_path / "voices" / name / "derived").glob("likeness*.json"))
