"""Who is told how a training goes, and may end it.

The default watches in silence; the command line draws bars, TensorBoard writes events.
"""

from collections.abc import Sequence

from app.training.work import Epoch


class Watcher:
    """Told everything, asked one thing."""

    def say(self, text: str) -> None:
        """One line for people."""

    def reading(self, done: int, count: int) -> None:
        """Pictures of the first reading."""

    def stepped(self, epoch: int, step: int, steps: int, loss: float) -> None:
        """One batch is done; numbers from 1."""

    def ended(self, epoch: Epoch) -> None:
        """An epoch is done and measured."""

    def wants_to_stop(self) -> bool:
        """Asked after every step and every epoch; True ends the training once it is saved."""
        return False


class Watchers(Watcher):
    """Several as one; any of them may stop it."""

    def __init__(self, watchers: Sequence[Watcher]) -> None:
        self._watchers = tuple(watchers)

    def say(self, text: str) -> None:
        """To all."""
        for each in self._watchers:
            each.say(text)

    def reading(self, done: int, count: int) -> None:
        """To all."""
        for each in self._watchers:
            each.reading(done, count)

    def stepped(self, epoch: int, step: int, steps: int, loss: float) -> None:
        """To all."""
        for each in self._watchers:
            each.stepped(epoch, step, steps, loss)

    def ended(self, epoch: Epoch) -> None:
        """To all."""
        for each in self._watchers:
            each.ended(epoch)

    def wants_to_stop(self) -> bool:
        """Any."""
        return any(each.wants_to_stop() for each in self._watchers)
