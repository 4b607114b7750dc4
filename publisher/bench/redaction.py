"""`[ledger] redact`: what the patterns match in a sample is replaced before the sample is written anywhere.

The patterns come from a commit and the texts from a model, and together they can take exponential time. So they are
matched in a process of its own (`redacting`), whose processor time the kernel limits.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

import msgspec

from publisher.errors import ConfigError, StorageError
from publisher.graders.workers import ExceededError, LostError, Pool

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import TracebackType

    from publisher.schema import Sample


class Redactor:
    """Redacts samples by a list of patterns; safe from any thread. Without patterns no process is started."""

    def __init__(self, patterns: Sequence[str], *, seconds: float = 10.0, patience: float = 120.0) -> None:
        """Allow each sample `seconds` of processor time, and `patience` seconds on the clock."""
        self._patterns = list(patterns)
        self._pool = Pool("publisher.bench.redacting", 1, seconds=seconds, patience=patience)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._pool.close()

    def redacted(self, sample: Sample) -> Sample:
        """Return the sample with a marker in the place of each match, and how many there were.

        Raises ConfigError when the patterns take too long, and StorageError when nothing can be said: what might hold
        a secret must not be written.
        """
        if not self._patterns:
            return sample
        try:
            texts, count = self._pool.ask([self._patterns, [sample.text, sample.answer, sample.reason]])
        except ExceededError as error:
            raise ConfigError(
                f"ledger.redact: matching the patterns against one answer {error}",
                hint="simplify them: a repeat inside a repeat, as in (a+)+, takes exponential time",
            ) from error
        except LostError as error:
            raise StorageError(
                "an answer could not be redacted, so it was not stored", hint="run the same command again"
            ) from error
        text, answer, reason = texts
        return msgspec.structs.replace(
            sample, text=text, answer=answer, reason=reason, redacted=sample.redacted + count
        )
