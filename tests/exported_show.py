"""A small show with a dataset and an exported model: a tiny one, with another as its base."""

import random
from collections.abc import Sequence
from pathlib import Path

from podcaster.dataset.options import DatasetOptions
from podcaster.exported import REPORT, ExportedFile, ExportReport, Parity
from podcaster.model import Record, Recording, Transcript, Utterance, to_json
from podcaster.preparing import prepare_dataset
from podcaster.progress import Silence
from podcaster.recordings import EXPORT
from podcaster.run import RECORD_NAME, Run, open_show_run, sha256_file, write_record
from tests.write.tiny_gguf import write_tiny_gguf

HOST = "Ann Host"
GUESTS = ("Bob Lee", "Cy Fox", "Di Ray", "Ed Kim")
# what little sentences are made of, "|" between
WORDS = {
    "opener": "well|you know|I mean|um|so|right|actually|like I said|honestly|yeah",
    "who": "my aunt|the baker|our neighbour|an old sailor|the teacher|a friend|she|he",
    "did": "kept|found|sold|painted|lost|counted|mended|hid|carried|described",
    "what": "a kettle|three maps|the bridge|her garden|a red boat|some lamps|the clock",
    "where": "by the river|in the attic|near Lisbon|after the war|at night|in spring",
    "ask": "how did you come to|why would anybody|when did you first|would you still",
    "do": "keep|find|sell|paint|lose|count|mend|hide|carry|describe",
}


def say(rng: random.Random, sentences: int, *, asking: bool) -> str:
    """So many little sentences, of which the last asks, or none does."""
    said = []
    for number in range(sentences):
        one = {kind: rng.choice(words.split("|")) for kind, words in WORDS.items()}
        if asking and number == sentences - 1:
            said.append("{opener}, {ask} {do} {what} {where}?".format(**one))
        else:
            said.append("{opener}, {who} {did} {what} {where}.".format(**one))
    return " ".join(sentence[0].upper() + sentence[1:] for sentence in said)


def add_recording(run: Run, name: str, turns: Sequence[tuple[str, str]]) -> None:
    """A recording with finished words, as `ingest` and `transcribe` leave it."""
    recording = Recording(id=name, title=name.replace("-", " ").title(), origin=f"box/{name}.txt")
    utterances = tuple(
        Utterance(text=text, speaker=who, start_s=n * 30.0) for n, (who, text) in enumerate(turns)
    )
    transcript = Transcript(language="en", utterances=utterances, engine="test")
    for stage, value in (("ingest", recording), ("transcribe", transcript)):
        folder = run.stage_folder(stage)
        file = f"{name}.json"
        (folder / file).write_bytes(to_json(value))
        record = _record(stage, name, {file: sha256_file(folder / file)})
        write_record(folder / f"{name}.record.json", record)


def make_show(home: Path, name: str = "Tea Talk", guests: int = 4, hold_out: float = 0.3) -> Run:
    """A show whose guests talk to one host; the first says most."""
    run = open_show_run(home, name, version="1", create=True)
    for number in range(guests):
        rng = random.Random(f"{name} {number}")
        turns = []
        for _ in range(9 - number):  # the first guest says most
            turns.append((HOST, say(rng, 2, asking=True)))
            turns.append((GUESTS[number], say(rng, 4, asking=False)))
        add_recording(run, f"talk-{number}", turns)
    options = DatasetOptions(hold_out=hold_out, workers=1, fewest_words=50, fewest_guest_words=10)
    prepare_dataset(home, name, options, Silence())
    return run


TINY_WORDS = (" tea", " pot", " is", " hot", " and", " we", " drink", " it", ".", "?")


def export_tiny(run: Run) -> ExportReport:
    """What the stage `export` would leave, with tiny models in the place of real ones."""
    folder = run.stage_folder(EXPORT) / "abcdef123456"
    folder.mkdir(parents=True)

    def keep(kind: str, seed: int) -> ExportedFile:
        path = folder / f"{run.name}-{kind}.gguf"
        write_tiny_gguf(path, seed=seed, context_tokens=2048, words=TINY_WORDS, end_bias=4.0)
        return ExportedFile(
            path=f"{folder.name}/{path.name}",
            quantisation=kind,
            size_bytes=path.stat().st_size,
            sha256=sha256_file(path),
        )

    file, base = keep("Q8_0", 1), keep("base-Q8_0", 2)
    report = ExportReport(
        show=run.name,
        base="my/base",
        architecture="llama",
        adapter_sha256="0" * 64,
        quantisation="Q8_0",
        files=(file,),
        adapter=None,
        base_file=base,
        parity=Parity(
            tokens=1,
            token_ids_equal=True,
            max_logit_difference=0.0,
            precision="F32",
            layers=4,
            all_layers=4,
        ),
        perplexity=None,
        perplexity_before=None,
    )
    (folder / REPORT).write_bytes(to_json(report))
    outputs = {one.path: one.sha256 for one in (file, base)}
    outputs[f"{folder.name}/{REPORT}"] = sha256_file(folder / REPORT)
    write_record(folder.parent / RECORD_NAME, _record(EXPORT, run.name, outputs))
    return report


def _record(stage: str, item: str, outputs: dict[str, str]) -> Record:
    return Record(
        stage=stage,
        item=item,
        fingerprint="0" * 64,
        inputs={},
        options={},
        engine="test",
        outputs=outputs,
        seconds=0.0,
    )
