"""The rows of a source file, whatever its format: JSON lines, gzipped or not, or Parquet; all of it bounded."""

from __future__ import annotations

import gzip
import zlib
from typing import TYPE_CHECKING, Any, cast

import msgspec

from publisher.errors import SuiteError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from typing import BinaryIO

MAX_ROW = 64 << 20
"""Bytes of one line: a problem of LiveCodeBench brings all its tests."""
MAX_ROWS = 100_000
MAX_UNPACKED = 1 << 30
"""Bytes of all rows together, unpacked."""

Row = dict[str, Any]


def rows(path: Path, where: str) -> Iterator[tuple[int, Row]]:
    """Yield the number and the fields of each row, from 1; SuiteError, naming `where`, for what holds no rows."""
    with path.open("rb") as stream:
        magic = stream.read(4)
        stream.seek(0)
        if magic == b"PAR1":
            yield from _parquet(path, where)
        elif magic.startswith(b"\x1f\x8b"):
            with gzip.open(stream) as unpacked:
                yield from _lines(cast("BinaryIO", unpacked), where)
        else:
            yield from _lines(stream, where)


def _lines(stream: BinaryIO, where: str) -> Iterator[tuple[int, Row]]:
    """Yield the rows of JSON lines."""
    number = size = 0
    try:
        while line := stream.readline(MAX_ROW + 1):
            number, size = number + 1, size + len(line)
            if len(line) > MAX_ROW or size > MAX_UNPACKED or number > MAX_ROWS:
                limit = f"a line of more than {MAX_ROW} bytes" if len(line) > MAX_ROW else "more rows than are read"
                raise _broken(f"{where}, line {number}: {limit}")
            if line.strip():
                yield number, msgspec.json.decode(line, type=Row)
    except (OSError, EOFError, zlib.error) as error:
        raise _broken(f"{where}, after line {number}: cannot be unpacked ({type(error).__name__})") from error
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError) as error:
        raise _broken(f"{where}, line {number}: not a JSON object: {error}") from error


def _parquet(path: Path, where: str) -> Iterator[tuple[int, Row]]:
    """Yield the rows of a Parquet file; what its own index claims is bounded before anything is read."""
    try:
        from pyarrow import ArrowException, parquet  # noqa: PLC0415 - large, and only needed here
    except ImportError as error:
        raise SuiteError(
            f"{where} is a Parquet file, and pyarrow is not installed",
            hint="pip install 'snapshot-publisher[suites]'",
        ) from error
    try:
        with parquet.ParquetFile(path) as file:
            index = file.metadata
            size = sum(index.row_group(number).total_byte_size for number in range(index.num_row_groups))
            if index.num_rows > MAX_ROWS or size > MAX_UNPACKED:
                raise _broken(f"{where}: {index.num_rows} rows of {size} bytes, more than are read")
            number = 0
            for batch in file.iter_batches(batch_size=256):
                for row in batch.to_pylist():
                    number += 1
                    yield number, row
    except (ArrowException, OSError, ValueError, UnicodeDecodeError) as error:
        said = str(error).split("\n", 1)[0][:200]
        raise _broken(f"{where}: not a Parquet file that can be read: {said}") from error


def _broken(message: str) -> SuiteError:
    return SuiteError(message, hint="fetch the file again, or name another source")
