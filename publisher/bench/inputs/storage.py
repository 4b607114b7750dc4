"""Files in S3 or what speaks its protocol, through fsspec; credentials and endpoint are the environment's."""

from __future__ import annotations

import re
import tempfile
from pathlib import Path
from typing import IO, TYPE_CHECKING

from publisher.errors import NetworkError, PublisherError
from publisher.files import storage_error

if TYPE_CHECKING:
    from publisher.bench.inputs.kind import Inputs, Kind

_OBJECT = re.compile(r"s3:(?://)?([a-z0-9][a-z0-9.-]{1,61}[a-z0-9])/([^\n\\?#]{1,1024})")
_PIECE = 1 << 20


def fetched(source: str, kind: Kind, inputs: Inputs) -> Path:
    """Return a copy of `s3:BUCKET/KEY` in the cache, written piece by piece; the caller checks its digest.

    Raises the kind's error for another form or a file beyond the kind's limit, NetworkError or StorageError.
    """
    found = _OBJECT.fullmatch(source)
    if not found:
        raise kind.error(f"{kind.section}.source: {source!r} is not s3:BUCKET/KEY", hint="s3:my-bucket/suites/a.jsonl")
    try:
        import fsspec  # noqa: PLC0415 - only needed here
        import s3fs  # noqa: F401, PLC0415 - what fsspec opens s3 with
    except ImportError as error:
        raise kind.error("s3fs is not installed", hint="pip install 'snapshot-publisher[s3]'") from error
    folder = inputs.cache / kind.folder
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=folder, prefix=".s3-", delete=False) as stream:
        path = Path(stream.name)
        try:
            with fsspec.open(f"s3://{found[1]}/{found[2]}", "rb") as remote:
                _copy(remote, stream, source, kind)
        except BaseException as error:
            path.unlink(missing_ok=True)
            if isinstance(error, PublisherError) or not isinstance(error, Exception):
                raise
            if isinstance(error, OSError) and error.filename == stream.name:
                raise storage_error(error, path) from error
            said = str(error).strip().split("\n", 1)[0][:300]
            raise NetworkError(
                f"cannot fetch {source}: {type(error).__name__}: {said}",
                hint="check bucket, key and the credentials that s3fs finds (AWS_PROFILE, AWS_ENDPOINT_URL)",
            ) from error
    return path


def _copy(remote: IO[bytes], stream: IO[bytes], source: str, kind: Kind) -> None:
    """Copy a file piece by piece, up to the kind's limit."""
    size = 0
    while piece := remote.read(_PIECE):
        size += len(piece)
        if size > kind.limit:
            raise kind.error(f"{kind.section}.source: {source} has more than {kind.limit} bytes")
        stream.write(piece)
