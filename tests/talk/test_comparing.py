"""Models side by side: the same openings and text, figures that are true, pages that are safe."""

import importlib.util
import json
import shutil
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from llama_cpp import Llama
from typer.testing import CliRunner

from podcaster import commission
from podcaster.cli import app
from podcaster.commands.telling_figures import format_comparison, format_evaluation
from podcaster.commission import brief_guest
from podcaster.dataset.examples import Example, Message
from podcaster.errors import ConfigError, InputError
from podcaster.exported import ExportReport, NamedModel, read_export
from podcaster.model import parse, to_json
from podcaster.progress import Silence
from podcaster.run import Run
from podcaster.talk.comparing import CompareOptions, compare
from podcaster.talk.comparison_page import format_comparison_page
from podcaster.talk.copying import Copied, CopiedRun
from podcaster.talk.evaluating import evaluate_export
from podcaster.talk.evaluation_page import Evaluation, format_evaluation_page, write_evaluation
from podcaster.talk.figures import Comparison, Opening, SaidTurn
from podcaster.talk.held_out import (
    MOST_OPENING_WORDS,
    choose_openings,
    read_conversation,
    read_conversations,
    read_examples,
    read_training_texts,
)
from podcaster.talk.measuring import choose_stretches
from podcaster.talk.profile import Said, measure_distance
from podcaster.talk.reading import read_conversations as read_by_model
from podcaster.talk.vocabulary import Marked
from podcaster.units import count_words, split_words
from podcaster.write.engine import Foretold
from tests.exported_show import GUESTS, HOST, TINY_WORDS, export_tiny, make_show

_spec = importlib.util.spec_from_file_location(
    "tiny_gguf", Path(__file__).parents[1] / "write" / "tiny_gguf.py"
)
assert _spec is not None
assert _spec.loader is not None
tiny_gguf = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(tiny_gguf)

HOSTILE = "<script>alert('x')</script> & \"quoted\" [bold red]"


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny model's file."""
    path = tmp_path_factory.mktemp("gguf") / "tiny.gguf"
    return tiny_gguf.write_tiny_gguf(path, context_tokens=2048, words=TINY_WORDS, end_bias=4.0)


@pytest.fixture(scope="module")
def show(home: Path) -> Run:
    run = make_show(home)
    export_tiny(run)
    return run


@pytest.fixture(scope="module")
def comparison(show: Run, home: Path) -> Comparison:
    return compare(home, ["Tea Talk", "Tea Talk:base"], CompareOptions(turns=4), Silence())


# -- held-out text ---------------------------------------------------------------------------------


def conversation(*turns: str) -> Opening:
    said = tuple(
        SaidTurn(speaker="guest" if n % 2 else "host", name=GUESTS[0] if n % 2 else HOST, text=text)
        for n, text in enumerate(turns)
    )
    return Opening(host=HOST, guest=GUESTS[0], keywords=("tea", "kettle"), turns=said)


def test_what_a_model_foretells_is_what_the_library_itself_says(model: Path) -> None:
    """Token by token through llama-cpp-python's own class, in one go."""
    talk = conversation("Does the water matter?", "Naïve “quotes” too, I think.", "Really?")
    read = read_by_model(NamedModel("tiny", model), [talk])

    library = Llama(str(model), n_ctx=1024, logits_all=True, verbose=False)
    roles = {"host": "user", "guest": "assistant"}
    system = brief_guest(HOST, GUESTS[0], ["tea", "kettle"])
    ids = library.tokenize(f"<|im_start|>system\n{system}<|im_end|>\n".encode(), special=True)
    owners = [""] * len(ids)
    for turn in talk.turns:
        opened = f"<|im_start|>{roles[turn.speaker]}\n".encode()
        for text, owner in ((opened, ""), (turn.text.encode(), turn.speaker),
                            (b"<|im_end|>\n", turn.speaker)):  # fmt: skip
            piece = library.tokenize(text, add_bos=False, special=True)
            ids += piece
            owners += [owner] * len(piece)
    library.eval(ids)
    logits = np.array(library.scores[: len(ids)], dtype=np.float64)
    library.close()
    logprobs = logits - np.logaddexp.reduce(logits, axis=1, keepdims=True)
    nats, tokens = {"host": 0.0, "guest": 0.0}, {"host": 0, "guest": 0}
    for place, (token, owner) in enumerate(zip(ids, owners, strict=True)):
        if owner:
            nats[owner] -= logprobs[place - 1, token]
            tokens[owner] += 1
    for one, count in tokens.items():
        assert read[one].tokens == count
        assert read[one].nats == pytest.approx(nats[one], rel=1e-4)
    assert read["guest"].characters == len("Naïve “quotes” too, I think.")
    assert read["all"].nats == pytest.approx(sum(nats.values()), rel=1e-4)


def test_text_longer_than_the_context_is_read_in_parts(model: Path) -> None:
    long = conversation(*["So what do you make of it all?", "It was a good year for tea."] * 60)
    read = read_by_model(NamedModel("tiny", model), [long])
    assert read["host"].characters == 60 * len("So what do you make of it all?")
    assert read["host"].tokens + read["guest"].tokens == read["all"].tokens > 2048


def test_a_large_model_reads_lines_of_a_script(
    model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(commission, "SMALL_PARAMETERS", 1)  # every model is large
    read = read_by_model(NamedModel("tiny", model), [conversation("Tea?", "It's hot, né?")])
    assert read["guest"].characters == len(" It's hot, né?")
    assert read["guest"].tokens > 3


# -- what people really said -----------------------------------------------------------------------


def test_openings_are_the_hosts_own_words_out_of_held_out_recordings(show: Run) -> None:
    openings = choose_openings(show, 3)
    assert openings
    held_out = " ".join(m.content for e in read_examples(show, "validation") for m in e.messages)
    for opening in openings:
        assert opening.host == HOST
        assert opening.guest in GUESTS
        assert [turn.speaker for turn in opening.turns] == ["host"]
        assert opening.turns[0].text in held_out
        assert count_words(opening.turns[0].text) <= MOST_OPENING_WORDS
        assert opening.source


def test_train_and_validation_are_not_mixed(show: Run) -> None:
    held_out = [t.text for c in read_conversations(show, "validation", 10_000) for t in c.turns]
    training = set(read_training_texts(show))
    assert held_out
    assert training
    assert not training & set(held_out)


@pytest.mark.parametrize("learn", ["guest", "host"])
def test_sides_are_found_whoever_is_learned(learn: Any) -> None:
    other = "host" if learn == "guest" else "guest"
    header = Message("system" if learn == "guest" else "user", "Tea Talk: On water.\nHost: Ann.")
    first, second = ("user", "assistant") if learn == "guest" else ("assistant", "user")
    example = Example(
        messages=(
            header,
            Message(first, "Why tea?"),
            Message(second, "Bob Lee: Because.\nCy Fox: And why not?"),
        ),
        show="Tea Talk",
        episode="On water",
        recording="on-water",
        chapter="",
        names=("Ann", "Bob Lee", "Cy Fox"),
        roles=("host", "guest", "guest"),
        keywords=("tea",),
        words=6,
        characters=30,
        tokens=10,
    )
    read = read_conversation(example, learn)
    assert (read.host, read.guest) == ("Ann", "Bob Lee")
    assert [(t.speaker, t.text) for t in read.turns] == [
        ("host", "Why tea?"),
        ("guest", "Because. And why not?"),
    ]
    assert other in {"host", "guest"}


# -- figures ---------------------------------------------------------------------------------------


def test_models_talk_from_the_same_openings(comparison: Comparison) -> None:
    assert [model.label for model in comparison.models] == ["Tea Talk", "Tea Talk:base"]
    for conversations in comparison.conversations:
        assert len(conversations) == len(comparison.openings) > 0
        for one, opening in zip(conversations, comparison.openings, strict=True):
            assert one.turns[: len(opening.turns)] == opening.turns
            assert len(opening.turns) < len(one.turns) <= comparison.turns
    assert comparison.conversations[0] != comparison.conversations[1]


def test_the_figures_are_those_of_the_files_and_of_what_was_said(comparison: Comparison) -> None:
    tuned, base = comparison.models
    assert (tuned.kind, base.kind) == ("chat", "chat")
    assert tuned.size_bytes == base.size_bytes > 100_000
    assert tuned.held_out["all"].nats != base.held_out["all"].nats
    assert tuned.held_out["all"].characters == base.held_out["all"].characters
    for model, conversations in zip(comparison.models, comparison.conversations, strict=True):
        added = [t for c, o in zip(conversations, comparison.openings, strict=True)
                 for t in c.turns[len(o.turns) :]]  # fmt: skip
        assert model.profile.words == sum(len(split_words(turn.text)) for turn in added)
        assert comparison.real is not None
        assert model.distance == measure_distance(model.profile, comparison.real.profile)
        assert model.copied is not None
        assert model.copied.words == model.profile.words
        assert model.tokens_per_s > 0


def test_the_show_itself_is_its_held_out_turns(show: Run, comparison: Comparison) -> None:
    assert comparison.real is not None
    said = [t.text for c in read_conversations(show, "validation", 10_000) for t in c.turns]
    assert comparison.real.profile.words == sum(len(split_words(text)) for text in said)
    assert comparison.real.profile.host_ends_asking == 1.0


def test_the_same_seeds_give_the_same_figures(
    show: Run, home: Path, comparison: Comparison
) -> None:
    again = compare(home, ["Tea Talk", "Tea Talk:base"], CompareOptions(turns=4), Silence())
    assert again.conversations == comparison.conversations
    assert [m.held_out for m in again.models] == [m.held_out for m in comparison.models]
    assert [m.profile for m in again.models] == [m.profile for m in comparison.models]


def test_what_a_model_says_out_of_its_training_text_is_found(tmp_path: Path) -> None:
    run = make_show(tmp_path)
    export_tiny(run)
    options = CompareOptions(questions=("Why do people drink tea?",), turns=4)
    names = ["Tea Talk", "Tea Talk:base"]
    before = compare(tmp_path, names, options, Silence())
    said = max((turn.text for turn in before.conversations[0][0].turns[1:]), key=len)
    assert len(split_words(said)) >= 12
    (example, *_) = read_examples(run, "train")
    learned = msgspec.structs.replace(
        example, messages=(*example.messages, Message("user", "So?"), Message("assistant", said))
    )
    with (run.path / "dataset" / "dialogue.train.jsonl").open("ab") as file:
        file.write(msgspec.json.encode(learned) + b"\n")
    after = compare(tmp_path, names, options, Silence())
    copied = after.models[0].copied
    assert copied is not None
    assert copied.longest_words == len(split_words(said))
    assert copied.long_runs >= 1
    assert copied.longest[0].text == " ".join(split_words(said))


def test_files_without_a_show_are_compared_by_our_own_questions(
    tmp_path: Path, model: Path
) -> None:
    copy = tmp_path / "copy.gguf"
    shutil.copyfile(model, copy)
    found = compare(tmp_path, [str(model), str(copy)], CompareOptions(turns=3), Silence())
    assert found.real is None
    assert [model.label for model in found.models] == ["tiny.gguf", "copy.gguf"]
    assert len(found.openings) == 3
    # the same file says the same
    assert found.conversations[0] == found.conversations[1]
    assert all(not model.held_out and model.distance is None for model in found.models)
    assert "copy.gguf" in format_comparison_page(found)


def test_a_model_that_was_trained_on_the_held_out_text_is_told(show: Run, home: Path) -> None:
    """The same recordings under another name, all of them to train on but other ones."""
    other = make_show(home, "Second Tea", hold_out=0)
    export_tiny(other)
    found = compare(home, ["Tea Talk", "Second Tea"], CompareOptions(turns=2), Silence())
    assert found.real is not None
    assert found.real.show == "tea-talk"
    assert found.models[0].heard_before == 0
    assert found.models[1].heard_before == 1
    assert "trained on" in format_comparison(found, 0)


@pytest.mark.parametrize("names", [["builtin"], ["builtin", "builtin"], ["builtin"] * 9])
def test_fewer_than_two_models_are_no_comparison(tmp_path: Path, names: list[str]) -> None:
    with pytest.raises(ConfigError, match="2 to 8 different"):
        compare(tmp_path, names, CompareOptions(), Silence())


def test_a_part_of_the_show_says_how_much_is_chance(comparison: Comparison) -> None:
    assert comparison.real is not None
    assert comparison.real.distance is not None
    models = [model.distance.mean for model in comparison.models if model.distance]
    assert 0 < comparison.real.distance.mean < min(models)


def test_stretches_are_spread_and_do_not_overlap() -> None:
    said = [Said("host", f"turn number {n} of many more") for n in range(30)]
    chosen = choose_stretches(said, 3, 36)
    assert [said.index(one) for one in chosen] == [0, 1, 10, 11, 20, 21]
    everything = choose_stretches(said, 3, 100_000)
    assert everything == said


# -- pages -----------------------------------------------------------------------------------------


class _Outline(HTMLParser):
    """Tags and attributes of a page; fails on a tag that is not closed."""

    VOID = frozenset({"meta", "col", "br"})

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if not self.open or self.open[-1] != "style":
            self.text.append(data)


def read_page(page: str) -> _Outline:
    outline = _Outline()
    outline.feed(page)
    outline.close()
    assert outline.open == []
    return outline


def poison(comparison: Comparison) -> Comparison:
    """A comparison in which everything that comes from outside is hostile."""
    replace = msgspec.structs.replace
    turn = SaidTurn(speaker="host", name=HOSTILE, text=HOSTILE)
    opening = Opening(
        host=HOSTILE, guest=HOSTILE, keywords=(HOSTILE,), turns=(turn,), source=HOSTILE
    )
    mark = Marked(words=HOSTILE, here_per_1000=1.0, there_per_1000=0.0, z=9.0)
    copied = Copied(
        words=9,
        longest_words=9,
        runs=1,
        long_runs=0,
        copied_words=9,
        longest=(CopiedRun(text=HOSTILE, words=9),),
    )
    models = tuple(
        replace(
            m,
            label=f"{HOSTILE}{n}",
            file=HOSTILE,
            copied=copied,
            says_more=(mark,),
            says_less=(mark,),
        )
        for n, m in enumerate(comparison.models)
    )
    assert comparison.real is not None
    talk = replace(comparison.conversations[0][0], turns=(turn, turn))
    return replace(
        comparison,
        models=models,
        openings=(opening,),
        conversations=tuple((talk,) for _ in models),
        real=replace(comparison.real, show=HOSTILE),
    )


def test_nothing_from_outside_becomes_markup(comparison: Comparison) -> None:
    hostile = poison(comparison)
    evaluation = Evaluation(
        show=HOSTILE, base=HOSTILE, quantisation=HOSTILE, comparison=hostile, losses={}
    )
    for page in (format_comparison_page(hostile), format_evaluation_page(evaluation)):
        outline = read_page(page)
        tags = {tag for tag, _ in outline.tags}
        assert "script" not in tags
        assert not {"img", "link", "iframe", "a"} & tags
        assert "".join(outline.text).count("<script>alert('x')</script>") > 8
    assert "[bold red]" in format_comparison(hostile, 1)


def test_a_page_needs_nothing_from_elsewhere_and_reads_aloud(comparison: Comparison) -> None:
    page = format_comparison_page(comparison)
    outline = read_page(page)
    assert "http://" not in page
    assert "https://" not in page
    assert "url(" not in page
    assert "prefers-color-scheme: dark" in page
    assert "@media print" in page
    attributes = [(tag, given) for tag, given in outline.tags]
    assert attributes[0] == ("html", {"lang": "en"})
    assert [tag for tag, _ in attributes].count("h1") == 1
    tables = [tag for tag, _ in attributes].count("table")
    assert tables == [tag for tag, _ in attributes].count("caption") > 3
    assert all("scope" in given for tag, given in attributes if tag == "th")
    for turns in comparison.conversations[0]:
        assert turns.turns[-1].text in "".join(outline.text)


def test_the_terminal_shows_figures_and_conversations(comparison: Comparison) -> None:
    text = format_comparison(comparison, 1)
    assert "TEA-TALK ITSELF" in text
    assert "bits a character, guest" in text
    base = comparison.models[1].held_out["all"].bits_per_character
    assert f"{base:.3f} *" in text
    first = comparison.openings[0].turns[0].text.split()
    assert " ".join(first[:4]) in text
    assert "─" in text


# -- the command -----------------------------------------------------------------------------------


def test_the_command_writes_a_page_and_says_everything(
    show: Run, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    told = ["show", "compare", "Tea Talk", "Tea Talk:base", "--turns", "2", "--home", str(home)]
    done = CliRunner().invoke(app, [*told, "--question", "Why tea?", "--json"])
    assert done.exit_code == 0, done.output
    result = json.loads(done.stdout.splitlines()[-1])
    page = tmp_path / "compare-tea-talk-tea-talk-base.html"
    assert result["page"] == page.name
    read_page(page.read_text(encoding="utf-8"))
    model = result["models"][1]
    assert model["held_out"]["all"]["bits_per_character"] == pytest.approx(
        Foretold(
            nats=model["held_out"]["all"]["nats"],
            tokens=model["held_out"]["all"]["tokens"],
            characters=model["held_out"]["all"]["characters"],
        ).bits_per_character,
        abs=1e-4,
    )
    assert result["openings"][0]["turns"][0]["text"] == "Why tea?"
    for key in ("size_bytes", "tokens_per_s", "profile", "distance", "copied", "held_out"):
        assert key in model


def test_a_page_that_cannot_be_written_is_a_sentence(show: Run, home: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    place = tmp_path / "file" / "page.html"
    told = ["show", "compare", "Tea Talk:base", "Tea Talk", "--turns", "2", "--question", "Tea?"]
    done = CliRunner().invoke(app, [*told, "--output", str(place), "--home", str(home)])
    assert done.exit_code == 6
    assert "error: " in done.output
    assert "Traceback" not in done.output


# -- the evaluation of an export -------------------------------------------------------------------

LOSSES = {"before": {"host": 4.0, "all": 3.9}, "after": {"host": 3.6, "all": 3.5}}


def test_an_export_is_evaluated_beside_its_base(show: Run, tmp_path: Path) -> None:
    evaluation = evaluate_export(show, read_export(show), losses=LOSSES)
    labels = [model.label for model in evaluation.comparison.models]
    assert labels == ["tea-talk", "tea-talk:base"]
    page, data = write_evaluation(tmp_path / "evaluation.html", evaluation)
    assert parse(data.read_bytes(), Evaluation, where="it") == evaluation
    text = "".join(read_page(page.read_text(encoding="utf-8")).text)
    assert "What training changed: tea-talk" in text
    assert "-10.0%" in text
    terminal = format_evaluation(evaluation)
    assert "HELD-OUT LOSS" in terminal
    assert "-10.3%" in terminal
    assert to_json(evaluation) == to_json(evaluate_export_again(show, evaluation))


def evaluate_export_again(show: Run, first: Evaluation) -> Evaluation:
    """Everything but the speed comes out the same."""
    again = evaluate_export(show, read_export(show), losses=LOSSES)
    replace = msgspec.structs.replace
    models = tuple(
        replace(one, tokens_per_s=before.tokens_per_s)
        for one, before in zip(again.comparison.models, first.comparison.models, strict=True)
    )
    return replace(again, comparison=replace(again.comparison, models=models))


def test_an_export_without_its_file_is_a_sentence(tmp_path: Path) -> None:
    run = make_show(tmp_path)
    report: ExportReport = export_tiny(run)
    (run.path / "export" / report.files[0].path).unlink()
    with pytest.raises(InputError, match="show export tea-talk"):
        evaluate_export(run, report)
