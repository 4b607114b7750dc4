"""One bad run must not hold up the others: its error is noted, the rest is done, and the command fails at the end."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from publisher.errors import DeployError, NetworkError, PublisherError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Note = Callable[[str], None]


SITE, CANARY = NO_RUNS = ("the live site", "the canary")
"""What can fail beside runs."""


@dataclass(slots=True)
class Failures:
    """What went wrong per run, in the order in which it did."""

    note: Note
    found: dict[str, PublisherError] = field(default_factory=dict)
    _silent: int = 0
    """How many runs in a row have met a host that does not answer at all."""

    @contextmanager
    def of(self, name: str) -> Iterator[None]:
        """Keep an error of the run or snapshot `name` and continue.

        Where the hosts of two runs in a row do not answer at all, the NetworkError is raised: the network is down, and
        every other run would wait as long.
        """
        try:
            yield
        except PublisherError as error:
            self._silent = self._silent + 1 if isinstance(error, NetworkError) and error.status is None else 0
            if self._silent > 1:
                raise
            self.found[name] = error
            self.note(f"{name}: {error.message}" + (f" ({error.hint})" if error.hint else ""))
        else:
            self._silent = 0

    def as_values(self) -> dict[str, str]:
        """Return what went wrong per run as plain values for `--json`."""
        return {name: error.message for name, error in self.found.items()}

    def check(self, done: str) -> None:
        """Raise DeployError, which says that some runs were not `done`, where there were any errors."""
        if not self.found:
            return
        named = f"{', '.join(list(self.found)[:5])}{', …' if len(self.found) > 5 else ''}"
        runs = [name for name in self.found if name not in NO_RUNS]
        hint = "mend what the notes above say"
        if runs:
            some = "1 run was" if len(self.found) == 1 else f"{len(self.found)} runs were"
            hint += f", or end a run for good: publisher give-up {runs[0]} --reason WHY"
            raise DeployError(f"{some} not {done}: {named}", hint=hint)
        raise DeployError(f"not {done}: {named}", hint=f"{hint}, then run the same command again")
