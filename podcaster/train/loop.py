"""The training loop: steps over packed rows, divided among workers, and looks at the held-out loss.

A step is the same for any number of workers: its rows and the number by which its loss is divided
are those of all, so that their gradients add up to what one worker would have found.
"""

import math
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import msgspec
import torch

from podcaster.errors import EngineError
from podcaster.train.checkpoints import Checkpoint, Point, State, load_checkpoint, save_checkpoint
from podcaster.train.engine import Group
from podcaster.train.network import Network
from podcaster.train.options import TrainOptions
from podcaster.train.packing import Row, Step, divide, plan_epoch
from podcaster.train.schedule import schedule
from podcaster.train.spelling import GUEST, HOST, Example

MOST_GRADIENT = 1.0  # the norm to which gradients are cut
BETAS = (0.9, 0.95)

T = TypeVar("T")


@dataclass(frozen=True)
class Plan:
    """Everything that decides a training, beside the weights it starts from.

    `row_tokens` says what lies together in the rows of a step, `memory_tokens` (0: a whole row) how
    much of it is computed at a time, which changes nothing but memory.
    """

    options: TrainOptions
    expected: str
    train: Sequence[Example]
    validation: Sequence[Example]
    row_tokens: int
    batch_tokens: int
    learning_rate: float
    flops_per_token: float
    peak_flops: float | None  # of all workers' devices together
    memory_tokens: int = 0
    save_every: int = 50


@dataclass(frozen=True)
class Look:
    """The held-out loss in nats a token: of all, of the host's and of the guest's."""

    loss: float
    host: float | None
    guest: float | None


@dataclass(frozen=True)
class Ended:
    """How a training ended: the state at the end, and the best adapter's matrices."""

    state: State
    best: dict[str, torch.Tensor]
    peak_memory_bytes: int


@dataclass
class _Progress:
    """What changes while it trains."""

    step: int = 0
    tokens: int = 0
    points: list[Point] = field(default_factory=list)
    best_step: int = 0
    best_loss: float | None = None
    worse: int = 0
    stopped: bool = False
    seconds: float = 0.0
    base: Look | None = None
    best: dict[str, torch.Tensor] = field(default_factory=dict)


Tell = Callable[[Point, int], None]  # a point, and how many steps there will be
# steps done, of how many, what is going on, and tokens a second where they are learned from
Hear = Callable[[int, int, str, float], None]


def list_steps(plan: Plan) -> Iterator[Step]:
    """All steps, epoch after epoch, in an order that the seed alone decides."""
    options = plan.options
    lengths = [len(example) for example in plan.train]
    first = plan_epoch(lengths, plan.row_tokens, plan.batch_tokens, options.seed, 0)
    left = count_steps(plan, len(first))
    epoch = 0
    while left > 0:
        steps = first if epoch == 0 else plan_epoch(
            lengths, plan.row_tokens, plan.batch_tokens, options.seed, epoch
        )  # fmt: skip
        yield from steps[:left]
        left -= len(steps)
        epoch += 1


def count_steps(plan: Plan, per_epoch: int) -> int:
    """How many steps there are at most."""
    wanted = max(1, math.ceil(plan.options.epochs * per_epoch))
    return min(wanted, plan.options.max_steps) if plan.options.max_steps else wanted


class Trainer:
    """One worker of a training; all go through the same steps."""

    def __init__(
        self,
        network: Network,
        plan: Plan,
        group: Group,
        folder: Path,
        tell: Tell,
        hear: Hear | None = None,
    ) -> None:
        self.network, self.plan, self.group = network, plan, group
        self.folder, self.tell, self.hear = folder, tell, hear or _nobody
        self.steps = 0
        self.parameters = network.parameters()
        self.optimizer = torch.optim.AdamW(
            self.parameters,
            lr=plan.learning_rate,
            betas=BETAS,
            weight_decay=plan.options.weight_decay,
        )
        self.lengths = [len(example) for example in plan.train]
        self.memory_tokens = plan.memory_tokens or plan.row_tokens
        self.now = _Progress()
        self.damaged: list[str] = []

    def run(self) -> Ended:
        """Train to the end, from the newest checkpoint if there is one."""
        steps = list(list_steps(self.plan))
        self.steps = len(steps)
        per_look = max(1, len(steps) // max(1, round(self._looks(len(steps)))))
        self._resume()
        if self.now.base is None and self.plan.validation:
            self.now.base = self._look()
            self.now.best_loss, self.now.best = None, self.network.state()
        while self.now.step < len(steps) and not self.now.stopped:
            started = time.monotonic()
            point = self._step(steps[self.now.step], len(steps))
            last = self.now.step == len(steps)
            if self.plan.validation and (last or self.now.step % per_look == 0):
                point = self._judge(point)
            self.now.seconds += time.monotonic() - started
            self.now.points.append(point)
            self.tell(point, len(steps))
            if last or self.now.stopped or self.now.step % self.plan.save_every == 0:
                self._save()
        if self.plan.validation and self.now.best_loss is None:
            self._check(self._look().loss, "The held-out loss")
        best = self.now.best if self.plan.validation else self.network.state()
        return Ended(self._state(), best, _peak_memory(self.network.device))

    def _looks(self, steps: int) -> float:
        plan = self.plan
        epoch = len(plan_epoch(self.lengths, plan.row_tokens, plan.batch_tokens, 0, 0))
        return self.plan.options.evaluations * steps / epoch

    # -- a step ---------------------------------------------------------------------------------

    def _step(self, step: Step, steps: int) -> Point:
        started = time.monotonic()
        rate = self.plan.learning_rate * schedule(self.plan.options, self.now.step, steps)
        for settings in self.optimizer.param_groups:
            settings["lr"] = rate
        torch.manual_seed(self.plan.options.seed + self.now.step * 1009 + self.group.rank)
        learned = sum(self._count_learned(row) for row in step.rows)
        read = sum(self.lengths[i] for row in step.rows for i in row)

        def learn(sequences: Sequence[Example]) -> float:
            return self._learn(sequences, learned)

        nats, done = 0.0, 0
        for row in self._divide(step.rows, self.lengths):
            nats += sum(self._within_memory(learn, [self.plan.train[i] for i in row]))
            done += sum(self.lengths[i] for i in row)
            pace = done / max(1e-9, time.monotonic() - started)
            what = f"{done:,} of {read:,} tokens of the next, {pace:,.0f} tokens/s"
            self.hear(self.now.step, self.steps, what, pace)
        self._share_gradients()
        (nats,) = self.group.add_numbers([nats])
        loss = nats / learned
        norm = float(torch.nn.utils.clip_grad_norm_(self.parameters, MOST_GRADIENT))
        # before the optimizer's step: no checkpoint may hold what comes of it
        self._check(loss, f"The loss of step {self.now.step + 1}")
        self._check(norm, f"The gradient of step {self.now.step + 1}")
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        self.now.step += 1
        self.now.tokens += read
        speed = read / max(1e-9, time.monotonic() - started)
        peak = self.plan.peak_flops
        return Point(
            step=self.now.step,
            tokens=self.now.tokens,
            loss=loss,
            learning_rate=rate,
            tokens_per_s=round(speed, 1),
            mfu=round(speed * self.plan.flops_per_token / peak, 4) if peak else None,
        )

    def _count_learned(self, row: Row) -> int:
        wanted = self.network.learned
        return sum(int((self.plan.train[i].owners[1:] == who).sum()) for i in row for who in wanted)

    def _check(self, value: float, what: str) -> None:
        if not math.isfinite(value):
            raise EngineError(
                f"{what} is {value}.",
                next_step="Lower learning_rate under [train], or set precision = \"fp32\".",
            )  # fmt: skip

    def _divide(self, rows: Sequence[Row], lengths: Sequence[int]) -> list[Row]:
        """What this worker computes of rows."""
        return divide(rows, lengths, self.memory_tokens, self.group.rank, self.group.size)

    def _learn(self, sequences: Sequence[Example], learned: int) -> float:
        """Add the gradients of sequences: of all matrices or, where memory is short, of none.

        A backward pass that fails in its middle would have added those of the last layers.
        """
        loss = self.network.compute_loss(sequences)
        found = torch.autograd.grad(loss.total / learned, self.parameters, allow_unused=True)
        for parameter, gradient in zip(self.parameters, found, strict=True):
            if gradient is not None:
                old = parameter.grad
                parameter.grad = gradient if old is None else old.add_(gradient)
        return sum(loss.nats.values())

    def _within_memory(
        self, compute: Callable[[Sequence[Example]], T], sequences: Sequence[Example]
    ) -> list[T]:
        """What is computed of sequences; where memory does not suffice, of halves of them."""
        try:
            return [compute(sequences)]
        except torch.OutOfMemoryError as error:
            if len(sequences) == 1:
                raise EngineError(
                    f"The memory of {self.network.device} does not suffice for one sequence of "
                    f"{len(sequences[0])} tokens.",
                    next_step="Make the dataset with a smaller `--context`, lower rank under "
                    "[train], or set quantise_base = \"4bit\".",
                ) from error  # fmt: skip
        # outside the handler, whose traceback would hold on to what filled the memory
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        # the rows that come would not fit either
        self.memory_tokens = min(self.memory_tokens, sum(map(len, sequences)) * 3 // 4)
        middle = len(sequences) // 2
        first, second = sequences[:middle], sequences[middle:]
        return self._within_memory(compute, first) + self._within_memory(compute, second)

    def _share_gradients(self) -> None:
        for parameter in self.parameters:
            if parameter.grad is None:
                parameter.grad = torch.zeros_like(parameter)
        self.group.add([parameter.grad for parameter in self.parameters])

    # -- what is held out -----------------------------------------------------------------------

    def _look(self) -> Look:
        nats, tokens = {HOST: 0.0, GUEST: 0.0}, {HOST: 0, GUEST: 0}
        lengths = [len(example) for example in self.plan.validation]
        for row in self._divide([tuple(range(len(lengths)))], lengths):
            read = sum(tokens.values())
            what = f"held-out text: {read:,} of {sum(lengths):,} tokens read"
            self.hear(self.now.step, self.steps, what, 0.0)
            sequences = [self.plan.validation[i] for i in row]
            for found in self._within_memory(self.network.measure, sequences):
                for who in nats:
                    nats[who] += found.nats[who]
                    tokens[who] += found.tokens[who]
        sums = self.group.add_numbers([nats[HOST], nats[GUEST], tokens[HOST], tokens[GUEST]])
        chosen = [who - 1 for who in self.network.learned]
        count = sum(sums[2 + i] for i in chosen)
        return Look(
            loss=sum(sums[i] for i in chosen) / max(1, count),
            host=sums[0] / sums[2] if sums[2] else None,
            guest=sums[1] / sums[3] if sums[3] else None,
        )

    def _judge(self, point: Point) -> Point:
        """Look, and keep the adapter if none was better."""
        look = self._look()
        least = math.inf if self.now.best_loss is None else self.now.best_loss
        if look.loss < least:  # what is no number is no better
            self.now.best_loss, self.now.best_step = look.loss, self.now.step
            self.now.best, self.now.worse = self.network.state(), 0
        else:
            self.now.worse += 1
            patience = self.plan.options.patience
            self.now.stopped = bool(patience) and self.now.worse >= patience
        return msgspec.structs.replace(
            point, validation=look.loss, validation_host=look.host, validation_guest=look.guest
        )

    # -- checkpoints ----------------------------------------------------------------------------

    def _state(self) -> State:
        now, base = self.now, self.now.base
        return State(
            expected=self.plan.expected,
            step=now.step,
            tokens=now.tokens,
            points=tuple(now.points),
            best_step=now.best_step,
            best_loss=now.best_loss,
            worse=now.worse,
            stopped=now.stopped,
            seconds=now.seconds,
            hashes={},
            base_loss=base.loss if base else None,
            base_host=base.host if base else None,
            base_guest=base.guest if base else None,
        )

    def _save(self) -> None:
        if self.group.rank == 0:
            state = self.network.state()
            save_checkpoint(
                self.folder,
                self._state(),
                adapter=state,
                best=self.now.best or state,
                optimizer=self._optimizer_state(),
            )

    def _optimizer_state(self) -> dict[str, torch.Tensor]:
        tensors: dict[str, torch.Tensor] = {}
        for number, parameter in enumerate(self.parameters):
            for name, value in self.optimizer.state[parameter].items():
                tensors[f"{number}.{name}"] = torch.as_tensor(value).detach().cpu().contiguous()
        return tensors

    def _resume(self) -> None:
        found, self.damaged = load_checkpoint(self.folder, self.plan.expected)
        if found is None:
            return
        self.network.load_state(found.adapter)
        self._restore_optimizer(found)
        state = found.state
        base = state.base_loss
        self.now = _Progress(
            step=state.step,
            tokens=state.tokens,
            points=list(state.points),
            best_step=state.best_step,
            best_loss=state.best_loss,
            worse=state.worse,
            stopped=state.stopped,
            seconds=state.seconds,
            base=Look(base, state.base_host, state.base_guest) if base is not None else None,
            best=found.best,
        )

    def _restore_optimizer(self, found: Checkpoint) -> None:
        for number, parameter in enumerate(self.parameters):
            mine = {
                name.partition(".")[2]: value
                for name, value in found.optimizer.items()
                if name.partition(".")[0] == str(number)
            }
            self.optimizer.state[parameter] = {
                name: value if name == "step" else value.to(parameter.device)
                for name, value in mine.items()
            }


def _nobody(_step: int, _steps: int, _what: str, _tokens_per_s: float) -> None:
    return


def _peak_memory(device: torch.device) -> int:
    if device.type == "cuda":
        return int(torch.cuda.max_memory_allocated(device))
    import resource

    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
