"""The training loop on a tiny model: it learns, stops, goes on after a kill, and saves memory."""

import importlib.util
import itertools
import math
import shutil
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import msgspec
import pytest

for library in ("torch", "transformers", "peft"):
    pytest.importorskip(library, reason=f"training needs {library}: install podcaster[train]")

import torch  # noqa: E402

from podcaster.errors import EngineError, InputError, RunError  # noqa: E402
from podcaster.train import checkpoints  # noqa: E402
from podcaster.train.bases import Base, describe_base  # noqa: E402
from podcaster.train.checkpoints import Point, load_checkpoint  # noqa: E402
from podcaster.train.engine import Alone  # noqa: E402
from podcaster.train.loop import Ended, Plan, Trainer  # noqa: E402
from podcaster.train.network import Network, RowLoss  # noqa: E402
from podcaster.train.options import TrainOptions  # noqa: E402
from podcaster.train.schedule import FLOOR, schedule  # noqa: E402
from podcaster.train.spelling import GUEST, HOST, Example  # noqa: E402
from podcaster.train.stage import read_examples  # noqa: E402


def load_module(name: str, *parts: str) -> ModuleType:
    if name not in sys.modules:
        path = Path(__file__).parents[1].joinpath(*parts)
        spec = importlib.util.spec_from_file_location(name, path)
        assert spec is not None
        assert spec.loader is not None
        sys.modules[name] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(sys.modules[name])
    return sys.modules[name]


tiny_models = load_module("podcaster_tiny_language_models", "export", "tiny_models.py")
shows = load_module("podcaster_tiny_shows", "train", "shows.py")

CONTEXT = 512
LONG_ROWS = {"row_tokens": 1600, "batch_tokens": 1600}  # of several examples


class Killed(BaseException):
    """As a kill: nothing catches it."""


class Place:
    """A tiny base and a show's examples as it reads them."""

    def __init__(self, folder: Path) -> None:
        tiny_models.make_model(folder / "base", "llama-3", num_hidden_layers=2)
        self.base: Base = describe_base("tiny", folder / "base")
        shows.write_lines(folder / "train.jsonl", range(16), turns=2, words=5)
        shows.write_lines(folder / "validation.jsonl", range(100, 104), turns=2, words=5)
        self.train = self.read(folder / "train.jsonl")
        self.validation = self.read(folder / "validation.jsonl")

    def read(self, path: Path) -> tuple[Example, ...]:
        return tuple(read_examples(path, self.base, "en", CONTEXT).found)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    return Place(tmp_path_factory.mktemp("place"))


def make_plan(place: Place, **changes: Any) -> Plan:
    told: dict[str, Any] = {
        "max_steps": 9, "epochs": 50.0, "precision": "fp32", "checkpointing": "off",
        "patience": 0, "dropout": 0.1, "evaluations": 1,
    }  # fmt: skip
    of_plan = set(Plan.__dataclass_fields__)
    for name in set(changes) - of_plan:
        told[name] = changes.pop(name)
    plan: dict[str, Any] = {
        "options": TrainOptions(**told), "expected": "test", "train": place.train,
        "validation": place.validation, "row_tokens": 400, "batch_tokens": 800,
        "learning_rate": 1e-2, "flops_per_token": 1.0, "peak_flops": None, "save_every": 2,
    }  # fmt: skip
    return Plan(**{**plan, **changes})


def nothing(_point: Point, _steps: int) -> None:
    return


def make_trainer(
    place: Place, plan: Plan, folder: Path, tell: Callable[[Point, int], None] = nothing
) -> Trainer:
    network = Network(Path(place.base.folder), plan.options, rank=4, alpha=8, device="cpu")
    return Trainer(network, plan, Alone(), folder, tell)


def losses(ended: Ended) -> list[float]:
    return [point.loss for point in ended.state.points]


def same(first: dict[str, torch.Tensor], second: dict[str, torch.Tensor]) -> bool:
    return first.keys() == second.keys() and all(
        torch.equal(value, second[name]) for name, value in first.items()
    )


def kill_after(step: int) -> Callable[[Point, int], None]:
    def tell(point: Point, _steps: int) -> None:
        if point.step == step:
            raise Killed

    return tell


# -- learning -----------------------------------------------------------------------------------


def test_the_loss_falls_in_training_and_on_what_is_held_out(place: Place, tmp_path: Path) -> None:
    told: list[tuple[Point, int]] = []
    plan = make_plan(place, max_steps=20, dropout=0.0, flops_per_token=2.0, peak_flops=1e6)
    ended = make_trainer(place, plan, tmp_path, lambda *said: told.append(said)).run()
    state = ended.state
    assert losses(ended)[-1] < losses(ended)[0] - 0.5
    assert state.base_loss is not None
    assert state.best_loss is not None
    assert state.best_loss < state.base_loss - 0.3
    assert [point.step for point, _ in told] == list(range(1, 21))
    assert {steps for _, steps in told} == {20}
    assert tuple(point for point, _ in told) == state.points
    read = sum(len(example) for example in place.train)
    assert state.points[-1].tokens == state.tokens > 2 * read
    assert all(p.mfu == pytest.approx(p.tokens_per_s * 2e-6, rel=0.1) for p in state.points)
    assert ended.peak_memory_bytes > 1_000_000


def test_the_held_out_loss_is_the_mean_of_all_tokens_and_of_each_role(
    place: Place, tmp_path: Path
) -> None:
    trainer = make_trainer(place, make_plan(place, max_steps=1), tmp_path)
    alone = [trainer.network.measure([example]) for example in place.validation]
    nats = {who: sum(a.nats[who] for a in alone) for who in (HOST, GUEST)}
    tokens = {who: sum(a.tokens[who] for a in alone) for who in (HOST, GUEST)}
    state = trainer.run().state
    assert state.base_host == pytest.approx(nats[HOST] / tokens[HOST], rel=1e-4)
    assert state.base_guest == pytest.approx(nats[GUEST] / tokens[GUEST], rel=1e-4)
    assert state.base_loss == pytest.approx(sum(nats.values()) / sum(tokens.values()), rel=1e-4)


def test_only_the_chosen_role_counts_where_it_is_held_out(place: Place, tmp_path: Path) -> None:
    state = make_trainer(place, make_plan(place, max_steps=1, roles="guest"), tmp_path).run().state
    assert state.base_loss == state.base_guest != state.base_host


def test_it_stops_where_nothing_is_learned_and_keeps_the_best_and_not_the_last(
    place: Place, tmp_path: Path
) -> None:
    # four examples by heart, at a rate that unlearns the language of the others
    plan = make_plan(
        place, train=place.train[:4], learning_rate=0.05, max_steps=60, evaluations=1, patience=3
    )
    trainer = make_trainer(place, plan, tmp_path)
    ended = trainer.run()
    state = ended.state
    assert state.stopped
    assert state.step < 60
    looks = {p.step: p.validation for p in state.points if p.validation is not None}
    assert looks[state.best_step] == state.best_loss == min(looks.values())
    assert [s for s in looks if s > state.best_step] == sorted(looks)[-3:]
    assert not same(ended.best, trainer.network.state())
    trainer.network.load_state(ended.best)
    nats = [trainer.network.measure([example]) for example in place.validation]
    loss = sum(sum(n.nats.values()) for n in nats) / sum(sum(n.tokens.values()) for n in nats)
    assert loss == pytest.approx(state.best_loss, rel=1e-4)


def test_without_anything_held_out_the_last_adapter_is_kept(place: Place, tmp_path: Path) -> None:
    trainer = make_trainer(place, make_plan(place, validation=(), max_steps=3), tmp_path)
    ended = trainer.run()
    assert same(ended.best, trainer.network.state())
    assert ended.state.best_loss is None
    assert all(point.validation is None for point in ended.state.points)


@pytest.mark.parametrize("memory_tokens", [150, 300])
def test_the_memory_that_is_there_does_not_change_the_curve(
    place: Place, tmp_path: Path, memory_tokens: int
) -> None:
    whole = make_trainer(place, make_plan(place, dropout=0.0), tmp_path / "whole").run()
    plan = make_plan(place, dropout=0.0, memory_tokens=memory_tokens)
    parts = make_trainer(place, plan, tmp_path / "parts").run()
    assert losses(parts) == pytest.approx(losses(whole), abs=1e-4)


# -- the schedules ------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["cosine", "trapezoidal"])
def test_the_rate_rises_and_falls(name: Any) -> None:
    options = TrainOptions(schedule=name, warmup=0.1)
    rates = [schedule(options, step, 200) for step in range(200)]
    assert rates[:20] == pytest.approx([(i + 1) / 20 for i in range(20)])
    assert all(a >= b for a, b in itertools.pairwise(rates[20:]))
    assert max(rates) == pytest.approx(1.0)
    assert FLOOR <= rates[-1] < 0.03
    if name == "trapezoidal":
        assert rates[20:160] == pytest.approx([1.0] * 140)
        assert rates[180] == pytest.approx(20 / 180 / 0.2)
    else:
        assert rates[110] == pytest.approx(FLOOR + (1 - FLOOR) / 2, abs=0.01)


@pytest.mark.parametrize("steps", [1, 2, 3])
def test_a_training_of_few_steps_has_a_rate(steps: int) -> None:
    for options in (TrainOptions(schedule="cosine"), TrainOptions(schedule="trapezoidal")):
        assert all(0 < schedule(options, step, steps) <= 1 for step in range(steps))


# -- after a kill -------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def whole(place: Place, tmp_path_factory: pytest.TempPathFactory) -> Ended:
    return make_trainer(place, make_plan(place), tmp_path_factory.mktemp("whole")).run()


@pytest.mark.parametrize("step", [1, 5, 8])
def test_a_killed_training_goes_on_to_the_very_same_end(
    place: Place, whole: Ended, tmp_path: Path, step: int
) -> None:
    plan = make_plan(place)
    with pytest.raises(Killed):
        make_trainer(place, plan, tmp_path, kill_after(step)).run()
    seen: list[int] = []
    again = make_trainer(place, plan, tmp_path, lambda point, _: seen.append(point.step))
    ended = again.run()
    # told before it was saved: what was saved is not done again
    assert seen == list(range((step - 1) // 2 * 2 + 1, 10))
    assert losses(ended) == losses(whole)
    assert same(ended.best, whole.best)
    assert ended.state.best_step == whole.state.best_step
    assert again.damaged == []


def test_a_training_that_ended_does_nothing_again(
    place: Place, whole: Ended, tmp_path: Path
) -> None:
    plan = make_plan(place)
    make_trainer(place, plan, tmp_path).run()
    seen: list[int] = []
    ended = make_trainer(place, plan, tmp_path, lambda point, _: seen.append(point.step)).run()
    assert seen == []
    assert same(ended.best, whole.best)


@pytest.fixture(scope="module")
def killed(place: Place, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("killed")
    with pytest.raises(Killed):
        make_trainer(place, make_plan(place), folder, kill_after(7)).run()
    return folder


@pytest.mark.parametrize(
    ("file", "harm"),
    [("adapter", "half"), ("best", "half"), ("optimizer", "half"), ("state", "half"),
     ("adapter", "nothing"), ("state", "gone"), ("optimizer", "gone")],
)  # fmt: skip
def test_a_checkpoint_cut_in_half_is_passed_over_for_the_one_before(
    place: Place, whole: Ended, killed: Path, tmp_path: Path, file: str, harm: str
) -> None:
    plan = make_plan(place)
    shutil.copytree(killed, tmp_path, dirs_exist_ok=True)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["step-00000004", "step-00000006"]
    (path,) = (tmp_path / "step-00000006").glob(f"{file}.*")
    if harm == "gone":
        path.unlink()
    else:
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2 if harm == "half" else 0])
    seen: list[int] = []
    again = make_trainer(place, plan, tmp_path, lambda point, _: seen.append(point.step))
    ended = again.run()
    assert again.damaged == ["step-00000006"]
    assert seen[0] == 5
    assert losses(ended) == losses(whole)


def test_a_checkpoint_of_another_training_neither_counts_nor_pushes_ours_out(
    place: Place, whole: Ended, tmp_path: Path
) -> None:
    make_trainer(place, make_plan(place, expected="another"), tmp_path).run()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["step-00000008", "step-00000009"]
    plan = make_plan(place)
    with pytest.raises(Killed):
        make_trainer(place, plan, tmp_path, kill_after(5)).run()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["step-00000002", "step-00000004"]
    seen: list[int] = []
    ended = make_trainer(place, plan, tmp_path, lambda point, _: seen.append(point.step)).run()
    assert seen[0] == 5
    assert losses(ended) == losses(whole)


def test_an_adapter_of_another_shape_is_refused(place: Place, tmp_path: Path) -> None:
    make_trainer(place, make_plan(place, max_steps=2), tmp_path).run()
    plan = make_plan(place, max_steps=2)
    network = Network(Path(place.base.folder), plan.options, rank=8, alpha=8, device="cpu")
    with pytest.raises(InputError, match="The adapter is another model's"):
        Trainer(network, plan, Alone(), tmp_path, nothing).run()


def test_a_checkpoint_that_cannot_be_written_is_told(
    place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fill(*_: object, **__: object) -> None:
        import errno

        raise OSError(errno.ENOSPC, "No space left on device")

    plan = make_plan(place)
    with pytest.raises(Killed):
        make_trainer(place, plan, tmp_path, kill_after(3)).run()
    with monkeypatch.context() as patched:
        patched.setattr(checkpoints, "save_file", fill)
        with pytest.raises(RunError, match="the disk is full"):
            make_trainer(place, plan, tmp_path).run()
    found, _ = load_checkpoint(tmp_path, "test")
    assert found is not None
    assert found.state.step == 2


def test_no_checkpoint_is_found_where_there_is_no_folder(tmp_path: Path) -> None:
    assert load_checkpoint(tmp_path / "none", "test") == (None, [])
    (tmp_path / "step-x").mkdir()
    assert load_checkpoint(tmp_path, "test") == (None, [])


# -- trouble ------------------------------------------------------------------------------------


@pytest.mark.parametrize("where", ["forward", "backward"])
def test_a_row_that_memory_cannot_hold_is_computed_in_halves(
    place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    plan = make_plan(place, dropout=0.0, max_steps=4, **LONG_ROWS)
    wanted = make_trainer(place, plan, tmp_path / "whole")
    curve = losses(wanted.run())
    failed: list[int] = []
    honest = Network.compute_loss
    trainer = make_trainer(place, plan, tmp_path / "halves")

    def run_out(*_: object) -> None:
        failed.append(1)
        raise torch.OutOfMemoryError("CUDA out of memory")

    def hook_gradient(value: torch.Tensor) -> None:
        value.register_hook(run_out)

    def compute(self: Network, sequences: Sequence[Example]) -> RowLoss:
        if len(sequences) == 1 or not torch.is_grad_enabled():
            return honest(self, sequences)
        if where == "forward":
            run_out()
        # the last layers have had their gradients by then, the first have not
        layer = self.body.layers[0].mlp.down_proj
        hook = layer.register_forward_hook(lambda _m, _i, out: hook_gradient(out))
        try:
            return honest(self, sequences)
        finally:
            hook.remove()

    monkeypatch.setattr(Network, "compute_loss", compute)
    assert losses(trainer.run()) == pytest.approx(curve, abs=1e-4)
    assert failed
    for name, value in trainer.network.state().items():
        torch.testing.assert_close(value, wanted.network.state()[name], atol=1e-3, rtol=1e-2)


def test_one_sequence_that_memory_cannot_hold_is_told_with_what_to_lower(
    place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def run_out(_self: Network, _sequences: Sequence[Example]) -> RowLoss:
        raise torch.OutOfMemoryError("CUDA out of memory")

    plan = make_plan(place, validation=())
    trainer = make_trainer(place, plan, tmp_path)
    monkeypatch.setattr(Network, "compute_loss", run_out)
    with pytest.raises(EngineError, match=r"does not suffice for one sequence of \d+ tokens") as e:
        trainer.run()
    assert "--context" in str(e.value)
    assert "rank" in str(e.value)
    # looking at what is held out needs memory, too
    trainer = make_trainer(place, make_plan(place), tmp_path)
    with pytest.raises(EngineError, match="does not suffice for one sequence"):
        trainer.run()


def test_a_loss_that_is_no_number_ends_it(place: Place, tmp_path: Path) -> None:
    plan = make_plan(place, learning_rate=math.inf, save_every=1)
    with pytest.raises(EngineError, match=r"^The loss of step 2 is nan\. Lower learning_rate"):
        make_trainer(place, plan, tmp_path, nothing).run()


def test_a_gradient_that_is_no_number_changes_nothing(place: Place, tmp_path: Path) -> None:
    trainer = make_trainer(place, make_plan(place), tmp_path)
    before = {name: value.clone() for name, value in trainer.network.state().items()}
    trainer.parameters[0].register_hook(lambda gradient: gradient * math.nan)
    with pytest.raises(EngineError, match=r"^The gradient of step 1 is nan"):
        trainer.run()
    assert same(trainer.network.state(), before)


def test_examples_in_which_the_chosen_role_is_silent_are_borne(
    place: Place, tmp_path: Path
) -> None:
    mute = [Example(e.ids, e.owners * (e.owners != HOST)) for e in place.train[:8]]
    plan = make_plan(place, roles="host", train=[*mute, *place.train[8:]], max_steps=6, **LONG_ROWS)
    assert all(math.isfinite(loss) for loss in losses(make_trainer(place, plan, tmp_path).run()))


def test_a_state_is_read_back_as_it_was(place: Place, tmp_path: Path) -> None:
    ended = make_trainer(place, make_plan(place, max_steps=3), tmp_path).run()
    found, damaged = load_checkpoint(tmp_path, "test")
    assert found is not None
    assert damaged == []
    assert msgspec.structs.replace(found.state, hashes={}) == ended.state
    assert set(found.state.hashes) == {"adapter.safetensors", "best.safetensors",
                                       "optimizer.safetensors"}  # fmt: skip
    shutil.rmtree(tmp_path / "step-00000003")
    assert load_checkpoint(tmp_path, "test")[0] is not None
