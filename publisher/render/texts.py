"""The long texts of answers, kept in a temporary file while a site is made: together they can be larger than memory."""

from __future__ import annotations

import tempfile
import weakref
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from publisher.files import storage_error

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from publisher.schema import Sample

SHORT = 1_000
"""Characters of a text that stays in its sample."""


class _Place(NamedTuple):
    """Where a text is in the file, in bytes, how many characters it has, and how many bytes as UTF-8 that all read."""

    start: int
    end: int
    characters: int
    size: int


class Texts:
    """The texts of some samples; those that are long are not in the samples themselves.

    A sample is known by its suite, problem and number, and of two with the same the last one counts.
    """

    def __init__(self) -> None:
        """Open a file without a name, which is gone when this value is."""
        self._places: dict[tuple[str, str, int], _Place] = {}
        self._end = 0
        try:
            self._file = tempfile.TemporaryFile()  # noqa: SIM115 - it lives as long as this value
        except OSError as error:
            raise storage_error(error, Path(tempfile.gettempdir()) / "answers") from error
        weakref.finalize(self, self._file.close)

    def without(self, samples: Iterable[Sample]) -> Iterator[Sample]:
        """Keep the long texts of samples, and yield the samples without them; StorageError where the disk is full."""
        try:
            for sample in samples:
                yield self._kept(sample)
            self._file.flush()
        except OSError as error:
            raise storage_error(error, Path(tempfile.gettempdir()) / "answers") from error

    def _kept(self, sample: Sample) -> Sample:
        if len(sample.text) <= SHORT:
            return sample
        # A lone surrogate, which a hostile file may have, comes back as it was.
        data = sample.text.encode("utf-8", "surrogatepass")
        self._file.write(data)
        size = len(sample.text.encode("utf-8", "replace"))
        self._places[_key(sample)] = _Place(self._end, self._end + len(data), len(sample.text), size)
        self._end += len(data)
        return msgspec.structs.replace(sample, text="")

    def of(self, sample: Sample) -> str:
        """Return a sample's text."""
        place = self._places.get(_key(sample)) if not sample.text else None
        return sample.text if place is None else self._read(place).decode("utf-8", "surrogatepass")

    def stored(self, sample: Sample) -> bytes:
        """Return a sample's text as UTF-8, with "?" for what has no UTF-8."""
        place = self._places.get(_key(sample)) if not sample.text else None
        # Only a text with a lone surrogate, which becomes one byte of three, has another size.
        if place is not None and place.size == place.end - place.start:
            return self._read(place)
        return self.of(sample).encode("utf-8", "replace")

    def _read(self, place: _Place) -> bytes:
        self._file.seek(place.start)
        return self._file.read(place.end - place.start)

    def size(self, sample: Sample) -> int:
        """Return the bytes of a sample's text as UTF-8, with "?" for what has no UTF-8, without reading it."""
        place = self._places.get(_key(sample)) if not sample.text else None
        return len(sample.text.encode("utf-8", "replace")) if place is None else place.size

    def characters(self, sample: Sample) -> int:
        """Return the length of a sample's text in characters, without reading it."""
        place = self._places.get(_key(sample)) if not sample.text else None
        return len(sample.text) if place is None else place.characters


def _key(sample: Sample) -> tuple[str, str, int]:
    return sample.suite, sample.problem, sample.sample
