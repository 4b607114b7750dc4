"""The whole texts of a suite's answers: plain text files beside the pages, which link to them and load them on demand.

They are made when they are written, one at a time, so that a site's memory does not grow by all that a model wrote.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from publisher.render import text
from publisher.render.language import say

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from publisher.render.texts import Texts
    from publisher.schema import Sample

LARGEST = 10_000_000
"""Bytes of one file; a single answer is never cut, and never longer than this (`samples.MAX_LINE`)."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where an answer's text is: the file's name in the page's folder, and from which byte to which."""

    file: str
    start: int
    end: int


def layout(samples: Iterable[Sample], texts: Texts) -> Iterator[tuple[Sample, Place]]:
    """Yield each sample of a page with its place, in files of at most LARGEST bytes."""
    number = size = 0
    for sample in samples:
        head, body = len(heading(sample).encode()), texts.size(sample)
        if size and size + head + body + 2 > LARGEST:
            number, size = number + 1, 0
        name = f"answers-{number + 1}.txt" if number else "answers.txt"
        yield sample, Place(name, size + head, size + head + body)
        size += head + body + 2


def files(folder: str, laid: Iterable[tuple[Sample, Place]], texts: Texts) -> dict[str, Callable[[], bytes]]:
    """Return what makes each file of a page, by path, from what is `laid` out there."""
    found: dict[str, list[Sample]] = {}
    for sample, place in laid:
        found.setdefault(f"{folder}{place.file}", []).append(sample)
    return {path: _Content(tuple(own), texts) for path, own in found.items()}


def heading(sample: Sample) -> str:
    """Return the line above an answer in its file."""
    clipped = (
        say(", %(characters)s cut off when it was stored", characters=text.plural(sample.clipped, "character"))
        if sample.clipped
        else ""
    )
    name = say(
        "%(problem)s, answer %(sample)s: %(outcome)s%(clipped)s",
        problem=text.line(sample.problem, 120),
        sample=sample.sample + 1,
        outcome=sample.outcome,
        clipped=clipped,
    )
    return f"{name}\n{'=' * min(80, len(name))}\n"


@dataclass(frozen=True, slots=True)
class _Content:
    """Makes a file's bytes when it is called."""

    samples: tuple[Sample, ...]
    texts: Texts

    def __call__(self) -> bytes:
        return b"".join(heading(one).encode() + self.texts.stored(one) + b"\n\n" for one in self.samples)


class Files(Mapping[str, bytes]):
    """Files by path, in order of their paths; some are made each time that they are asked for."""

    def __init__(self, ready: Mapping[str, bytes], more: Mapping[str, bytes | Callable[[], bytes]]) -> None:
        """Take files, and more of them or what makes them."""
        self._makers: dict[str, bytes | Callable[[], bytes]] = dict(sorted({**ready, **more}.items()))

    def with_files(self, ready: Mapping[str, bytes]) -> Files:
        """Return these files and more."""
        return Files(ready, self._makers)

    def __getitem__(self, path: str) -> bytes:
        """Return a file's bytes."""
        found = self._makers[path]
        return found if isinstance(found, bytes) else found()

    def __contains__(self, path: object) -> bool:
        """Return whether there is such a file, without making it."""
        return path in self._makers

    def __iter__(self) -> Iterator[str]:
        """Return the paths in order."""
        return iter(self._makers)

    def __len__(self) -> int:
        """Return the number of files."""
        return len(self._makers)
