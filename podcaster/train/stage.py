"""One worker of a training, from its files: what runs in this process, or in an actor of a cluster.

Imports torch and transformers: reach this module only when something is to be trained.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec
from safetensors.torch import save_file
from tokenizers import Tokenizer

from podcaster.commission import choose_form
from podcaster.errors import InputError, foreign
from podcaster.model import Noun
from podcaster.train.bases import Base, read_shape
from podcaster.train.checkpoints import Point, State
from podcaster.train.engine import Group
from podcaster.train.loop import Hear, Plan, Trainer
from podcaster.train.network import ADAPTER, ADAPTER_CONFIG, Network
from podcaster.train.options import TrainOptions
from podcaster.train.packaged_base import unpack_base
from podcaster.train.spelling import (
    GUEST,
    HOST,
    Example,
    Speller,
    read_lines,
    spell_chat,
    spell_script,
    tokenise,
    without_tokens,
)

__all__ = ["Job", "Result", "check_examples", "read_examples", "unpack_base", "work"]

STAGE_VERSION = 3
ADAPTER_FOLDER = "adapter"
ADAPTER_FILES = (ADAPTER, ADAPTER_CONFIG)
CHECKPOINTS = "checkpoints"
RESULT = ".result.json"  # what the first worker leaves for the driver


class Job(Noun, frozen=True):
    """All that a worker must know; it travels to other machines as JSON.

    `train` and `validation` are JSON Lines, `folder` where checkpoints and the adapter go: on a
    cluster of several machines, where all of them can reach it.
    """

    base: Base
    options: TrainOptions
    train: str
    validation: str
    folder: str
    expected: str
    language: str
    context: int
    row_tokens: int
    batch_tokens: int
    learning_rate: float
    rank: int
    alpha: float
    flops_per_token: float
    peak_flops: float | None
    memory_tokens: int = 0  # of a row that are in memory at a time; 0: all
    save_every: int = 50


class Result(Noun, frozen=True):
    """How a training ended."""

    state: State
    peak_memory_bytes: int
    damaged: tuple[str, ...] = ()


@dataclass(frozen=True)
class Examples:
    """The examples of a split, and how many lines were left out because nothing is learned."""

    found: tuple[Example, ...]
    empty: int
    cut: int

    def count(self, owners: Sequence[int]) -> int:
        """Tokens that are somebody's of these."""
        return sum(int((e.owners[1:] == who).sum()) for e in self.found for who in owners)

    @property
    def tokens(self) -> int:
        """All tokens."""
        return sum(len(example) for example in self.found)


def read_examples(path: Path, base: Base, language: str, context: int) -> Examples:
    """A split as the base reads it. Raises InputError, EngineError."""
    with foreign(InputError, f"Reading the tokenizer of {base.name}"):
        tokenizer: Tokenizer = Tokenizer.from_file(str(Path(base.folder) / "tokenizer.json"))
    tokenizer.no_truncation()
    tokenizer.no_padding()

    def encode(text: str) -> list[int]:
        return list(tokenizer.encode(text, add_special_tokens=False).ids)

    special = {t.content for t in tokenizer.get_added_tokens_decoder().values() if t.special}
    spell: Speller
    if choose_form(read_shape(Path(base.folder)).parameters) == "chat":
        spell = spell_chat(base.chat, bos=base.bos, eos=base.eos)
    else:
        spell = spell_script(base.chat, bos=base.bos, eos=base.eos, language=language)
    found: list[Example] = []
    empty = cut = 0
    for line in read_lines(path):
        example = tokenise(without_tokens(line, special), spell, encode, context)
        if example is None:
            empty += 1
            continue
        if example.ids.max() >= base.vocabulary:
            raise InputError(
                f"The tokenizer of {base.name} makes the token {example.ids.max()}, and its model "
                f"knows {base.vocabulary}.",
                next_step="Fetch the model again: tokenizer.json is another model's.",
            )
        cut += example.cut
        found.append(example)
    return Examples(tuple(found), empty, cut)


def check_examples(
    train: Examples, held_out: Examples, show: str, roles: str, context: int
) -> list[str]:
    """What is odd about a show's examples, to be told. Raises InputError where none can be learned.

    `roles` are those that are trained, `context` is the base's, in tokens.
    """
    again = f"podcaster show dataset {show}"
    if not train.found:
        raise InputError(
            f"The dataset of {show} has no example to learn from.",
            next_step=f"Make it again with `{again}`, from more recordings.",
        )
    owners = {"host": HOST, "guest": GUEST}
    for role in owners if roles == "both" else (roles,):
        if not train.count((owners[role],)):
            raise InputError(
                f"Nobody in the dataset of {show} speaks as {role}.",
                next_step="Choose another with --roles host or --roles guest.",
            )
    notes = []
    if train.cut:
        notes.append(
            f"{train.cut} examples are longer than the base's {context:,} tokens and lose their "
            f"end; `{again} --tokenizer` cuts them right"
        )
    if train.empty:
        notes.append(
            f"{train.empty} examples were left out: within {context:,} tokens nobody has said "
            "anything"
        )
    if not held_out.found:
        notes.append("nothing is held out: the last step is kept, not the best")
    return notes


def work(
    job: Job,
    group: Group,
    device: str,
    tell: Callable[[Point, int], None],
    hear: Hear | None = None,
) -> Result:
    """Train as one of a group. The first of it leaves checkpoints, and the best adapter at the end.

    `tell` gets a point after each step, `hear` what is going on within. Raises what the loop
    raises, InputError where a file is not what it was.
    """
    examples = {
        split: read_examples(Path(path), job.base, job.language, job.context).found
        for split, path in (("train", job.train), ("validation", job.validation))
    }
    if not examples["train"]:
        raise InputError(f"{job.train} holds no example that fits into {job.context} tokens.")
    options = job.options
    network = Network(Path(job.base.folder), options, rank=job.rank, alpha=job.alpha, device=device)
    plan = Plan(
        options=options,
        expected=job.expected,
        train=_with_owner(examples["train"], network.learned),
        validation=_with_owner(examples["validation"], network.learned),
        row_tokens=job.row_tokens,
        memory_tokens=job.memory_tokens,
        batch_tokens=job.batch_tokens,
        learning_rate=job.learning_rate,
        flops_per_token=job.flops_per_token,
        peak_flops=job.peak_flops,
        save_every=job.save_every,
    )
    folder = Path(job.folder)
    trainer = Trainer(network, plan, group, folder / CHECKPOINTS, tell, hear)
    ended = trainer.run()
    result = Result(
        state=ended.state,
        peak_memory_bytes=ended.peak_memory_bytes,
        damaged=tuple(trainer.damaged),
    )
    if group.rank == 0:
        place = folder / f".{ADAPTER_FOLDER}"
        place.mkdir(parents=True, exist_ok=True)
        network.save_adapter(place, job.base.name)
        save_file(ended.best, place / ADAPTER, metadata={"format": "pt"})
        (folder / RESULT).write_bytes(msgspec.json.encode(result))
    return result


def _with_owner(examples: Sequence[Example], owners: Sequence[int]) -> tuple[Example, ...]:
    """Those in which somebody of these speaks."""
    wanted = {HOST, GUEST} & set(owners)
    return tuple(e for e in examples if wanted & set(e.owners[1:].tolist()))
