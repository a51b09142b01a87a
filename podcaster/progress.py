"""How long work says how far it is, without knowing who listens."""

from typing import Protocol


class Progress(Protocol):
    """Receives counts from a running stage; called often, so it must be cheap."""

    def report(self, stage: str, done: float, total: float, unit: str) -> None:
        """`done` of `total` `unit`s are finished; `total` may be corrected from call to call.

        After a comma, `unit` may say how it goes: `steps, loss 3.41`.
        """

    def note(self, text: str) -> None:
        """Say one line that the person should see, and go on."""


class Silence:
    """A `Progress` that nobody watches."""

    def report(self, stage: str, done: float, total: float, unit: str) -> None:
        """Ignore the count."""

    def note(self, text: str) -> None:
        """Ignore the line."""
