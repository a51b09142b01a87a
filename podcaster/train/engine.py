"""What a group of workers is to the training loop: one of them, alone or with others."""

from typing import Any, Protocol


class Group(Protocol):
    """The workers that train one model: number `rank` of `size`, each with the same weights."""

    @property
    def rank(self) -> int:
        """This worker's number, from 0."""

    @property
    def size(self) -> int:
        """How many there are."""

    def add(self, tensors: list[Any]) -> None:
        """Replace each tensor by its sum over all workers."""

    def add_numbers(self, numbers: list[float]) -> list[float]:
        """The sums over all workers."""


class Alone:
    """A group of one."""

    rank = 0
    size = 1

    def add(self, tensors: list[Any]) -> None:
        """Nothing to add."""

    def add_numbers(self, numbers: list[float]) -> list[float]:
        """They are the sums."""
        return numbers
