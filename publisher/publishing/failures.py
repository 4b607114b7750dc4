"""One bad run must not hold up the others: its error is noted, the rest is done, and the command fails at the end."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from publisher.errors import DeployError, NetworkError, PublisherError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Note = Callable[[str], None]


@dataclass(slots=True)
class Failures:
    """What went wrong per run, in the order in which it did."""

    note: Note
    found: dict[str, PublisherError] = field(default_factory=dict)

    @contextmanager
    def of(self, name: str) -> Iterator[None]:
        """Keep an error of the run or snapshot `name` and continue; a host that does not answer at all still raises."""
        try:
            yield
        except PublisherError as error:
            if isinstance(error, NetworkError) and error.status is None:
                raise  # every other run would wait as long for the same answer
            self.found[name] = error
            self.note(f"{name}: {error.message}" + (f" ({error.hint})" if error.hint else ""))

    def check(self, done: str) -> None:
        """Raise DeployError, which says that some runs were not `done`, where there were any errors."""
        if self.found:
            some = "1 run was" if len(self.found) == 1 else f"{len(self.found)} runs were"
            first = next(iter(self.found))
            raise DeployError(
                f"{some} not {done}: {', '.join(list(self.found)[:5])}{', …' if len(self.found) > 5 else ''}",
                hint=f"mend what the notes above say, or end a run for good: publisher give-up {first} --reason WHY",
            )
