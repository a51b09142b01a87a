"""What the documents' commands presume: a few texts and recordings, all of our own making."""

import os
import shutil
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import av
import numpy as np
import soxr

from podcaster import audio
from podcaster.setup.packaged import locate_packaged
from podcaster.speak.casting import contrast
from podcaster.speak.options import SpeakOptions
from podcaster.speak.voices import find_voices
from podcaster.voicing import speech_spec
from tests.docs.command_lines import ROOT

RATE_HZ = 24_000
TALKS = {
    "kettles": (
        "Welcome to Tea Talk. Our guest today keeps a tea house in the mountains, where winters "
        "are long. Where does your water come from, and does it matter for the tea?",
        "It comes from the spring behind the house. Hard water makes the leaves taste of chalk, "
        "so we carry two buckets down the hill every morning, even in the snow.",
        "Two buckets every morning sounds like a good deal of work for a pot of tea. And how hot "
        "should the water be when you pour it over the leaves?",
        "Green leaves want it cooler than black ones. I wait until the kettle stops singing, "
        "count to twenty, and only then I pour. My grandmother counted to thirty.",
        "Your grandmother seems to have been a patient woman. What did she think of bags of tea, "
        "which came into the shops when she was young?",
        "She said that they were brooms in envelopes. I am not so strict, but a leaf needs room "
        "to open, and in a bag it has none.",
    ),
    "harbour": (
        "Good evening, and thank you for having us in your kitchen by the sea. How did your family "
        "begin to trade with tea at the harbour, so long ago?",
        "My uncle repaired sails there, and a captain paid him with a chest of leaves because "
        "the silver had been lost at cards. Nobody in our street had ever seen so much of it.",
        "A whole chest of tea for a few sails must have been the talk of the street. Did he sell "
        "everything in one summer, or did he keep some of it?",
        "He sold half. The other half went to the neighbours, who came back the next year and "
        "asked for more, and that was how the shop began on the corner by the bridge.",
        "I walked over that bridge this morning, and I did not see any sign of it. What is left of "
        "that shop on the corner today?",
        "The counter is left, and the brass scales. My daughter weighs coffee with them now, "
        "and twice a year we polish them and tell the story again.",
    ),
}
SPEECH = """I grew up in a house with one clock, and nobody in it was ever on time.
In 1985 I moved to Chicago to work for a group of churches on the South Side.
We asked people what they wanted, and they wanted the street lights mended.
It took eleven weeks. A woman called Ruby Styles made forty telephone calls.
When the lights came on, the whole block stood outside and applauded.
That was when I understood that small things are what people organise around.
"""
MINE = "Ada: Good morning, Charles.\nCharles: Good morning. Is it running?\nAda: It has begun.\n"
# a program of a person who changes one line
EDITOR = """
import pathlib, sys
for name in sys.argv[1:]:
    path = pathlib.Path(name)
    lines = path.read_text("utf-8").splitlines(keepends=True)
    place = max(i for i, line in enumerate(lines) if line.startswith("**"))
    lines[place] = lines[place].partition(":**")[0] + ":** I have changed this line.\\n"
    path.write_text("".join(lines), "utf-8")
"""
# whoever asks another machine for something gets an error; this machine's own are answered
ALONE = """
import ipaddress, socket
def check(address):
    if isinstance(address, tuple):
        try:
            inside = ipaddress.ip_address(address[0].split("%")[0]).is_loopback
        except ValueError:
            inside = address[0] in ("localhost", "")
        if not inside:
            raise OSError(f"the network was asked for: {address}")
def guard(name):
    connect = getattr(socket.socket, name)
    def guarded(self, address, *rest):
        check(address)
        return connect(self, address, *rest)
    setattr(socket.socket, name, guarded)
guard("connect"); guard("connect_ex")
"""


def make_environment(folder: Path) -> dict[str, str]:
    """An environment whose home, caches and programs lie in `folder`; `podcaster` is this one.

    Lengths are set to the smallest that show something: a minute of episode, two steps.
    """
    programs, home, alone = folder / "bin", folder / "home", folder / "alone"
    for each in (programs, home, alone):
        each.mkdir(parents=True)
    (alone / "sitecustomize.py").write_text(ALONE)
    (alone / "editor.py").write_text(EDITOR)
    for name, arguments in (("podcaster", "-m podcaster"), ("editor", str(alone / "editor.py"))):
        program = programs / name
        program.write_text(f'#!/bin/sh\nexec "{sys.executable}" {arguments} "$@"\n')
        program.chmod(0o755)
    kept = {
        key: value
        for key, value in os.environ.items()
        if not key.startswith(("HF_", "XDG_", "PODCASTER_", "PYTEST_", "COLUMNS"))
    }
    return kept | {
        "PATH": os.pathsep.join((str(programs), str(Path(sys.executable).parent), kept["PATH"])),
        "PYTHONPATH": os.pathsep.join((str(alone), str(ROOT))),
        "HOME": str(home),
        "EDITOR": "editor",
        "BROWSER": "true",
        "PODCASTER_WRITE_MINUTES": "1",
        "PODCASTER_TRAIN_MAX_STEPS": "2",
        "PODCASTER_DATASET_FEWEST_WORDS": "60",
        "PODCASTER_DATASET_FEWEST_GUEST_WORDS": "30",
    }


def _join(clips: list[np.ndarray]) -> np.ndarray:
    gap = np.zeros(RATE_HZ // 2, dtype=np.float32)
    return np.concatenate([part for clip in clips for part in (clip, gap)])


def _encode(path: Path, samples: np.ndarray, codec: str) -> None:
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=RATE_HZ)
        stream.layout = "mono"  # type: ignore[attr-defined]
        frame = av.AudioFrame.from_ndarray(samples.reshape(1, -1), format="fltp", layout="mono")
        frame.sample_rate = RATE_HZ
        for packet in [*stream.encode(frame), *stream.encode(None)]:
            container.mux(packet)


def make_material(folder: Path) -> None:
    """Write what the documents name: notes, a script, a proof, recordings of three people."""
    folder.mkdir(parents=True)
    (folder / "speech.txt").write_text(SPEECH)
    (folder / "mine.md").write_text(MINE)
    (folder / "consent.pdf").write_bytes(b"%PDF-1.4\n% I allow it. Jane Doe\n")
    (folder / "recordings").mkdir()
    jane: list[np.ndarray] = []
    voices = list(find_voices(folder).values())
    host = voices[0]  # of both talks; each has a guest of its own, else nobody would be a guest
    guests = sorted(voices, key=lambda voice: contrast(host, voice))[-len(TALKS) :]
    with closing(speech_spec(host.engine, SpeakOptions()).open()) as voicer:
        for guest, (name, turns) in zip(guests, TALKS.items(), strict=True):
            said = [
                voicer.say([text], (host, guest)[number % 2], language="en", seed=0)
                for number, text in enumerate(turns)
            ]
            clips = [soxr.resample(each.samples, each.sample_rate_hz, RATE_HZ) for each in said]
            jane += clips[::2]
            _encode(folder / "recordings" / f"{name}.mp3", _join(clips), "libmp3lame")
    shutil.copyfile(folder / "recordings" / "kettles.mp3", folder / "interview.mp3")
    audio.write_wav(folder / "jane.wav", _join(jane), RATE_HZ)
    shutil.copyfile(folder / "jane.wav", folder / "kim-1.wav")
    _encode(folder / "kim-2.m4a", _join(jane[:3]), "aac")
    transcript = folder / "tea-for-two.txt"
    lines = zip(("Ann", "Bob") * 3, TALKS["harbour"], strict=True)
    transcript.write_text("\n\n".join(f"{who}: {text}" for who, text in lines))
    subprocess.run(["tar", "-cJf", "transcripts.tar.xz", transcript.name], cwd=folder, check=True)
    transcript.unlink()


def place_models(home: Path) -> None:
    """Models of one's own, where the documents have them: the packaged ones by another name."""
    for name, target in (("smollm2", "mine.gguf"), ("whisper-tiny.en", "my-whisper-ct2")):
        (home / "models").mkdir(exist_ok=True)
        found = locate_packaged(name)
        assert found is not None
        lies = found[0] if target.endswith(".gguf") else found[0].parent
        (home / "models" / target).symlink_to(lies)
