"""A large file from the web: resumed where it broke off, retried, bounded, and only kept with the declared digest."""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import time
import urllib.parse
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import requests
import urllib3

from publisher import address
from publisher.errors import ModelError, NetworkError
from publisher.files import sha256_file, storage_error, sync_folder
from publisher.web import deadline
from publisher.web.client import ATTEMPTS, CONNECT_TIMEOUT, LONGEST_PAUSE, READ_TIMEOUT, loopback_target
from publisher.web.pace import Pace
from publisher.web.pauses import asked_pause, own_pause

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

MOST_REDIRECTS = 5
_RANGE = re.compile(r"bytes (\d{1,15})-\d{1,15}/(?:\d{1,15}|\*)\Z")
_PIECE = 1 << 20


@dataclass(frozen=True, slots=True)
class _Wanted:
    """What is fetched, and within which bounds."""

    url: str
    limit: int
    read_timeout: float
    loopback: bool
    progress: Callable[[int, int | None], None] | None
    pace: Pace


class _BrokenError(Exception):
    """An attempt that came to nothing, and how long to wait before another; None where another is pointless."""

    def __init__(self, reason: str, pause: float | None = 0.0) -> None:
        super().__init__(reason)
        self.pause = pause


def download(
    url: str,
    target: Path,
    *,
    sha256: str,
    limit: int,
    loopback: bool = False,
    pace: Pace | None = None,
    read_timeout: float = READ_TIMEOUT,
    progress: Callable[[int, int | None], None] | None = None,
) -> None:
    """Fetch `url` (https) into `target`, whole and with the digest `sha256`, or not at all.

    What has arrived stays beside `target` and is continued by the next attempt, also of another process. `progress` is
    called with the bytes so far and the size, None where the server does not say. What arrives more slowly than `pace`
    is given up. Redirects lead to https only; this machine itself is asked only with `loopback`. Raises NetworkError,
    ModelError (another digest) or StorageError.
    """
    _check(url, loopback=loopback)
    part = target.with_name(f".{sha256}.part")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with _locked(part) as stream:
            # The time of another process that held the lock is not this one's.
            wanted = _Wanted(url, limit, read_timeout, loopback, progress, pace or Pace())
            if not (target.is_file() and sha256_file(target) == sha256):  # another process may have fetched it
                with deadline.deadline(wanted.pace.left()):
                    _complete(wanted, stream, part, sha256)
                part.replace(target)
                sync_folder(target.parent)
    except OSError as error:
        raise storage_error(error, target) from error


@contextlib.contextmanager
def _locked(part: Path) -> Iterator[BinaryIO]:
    """Open the partial file for one process at a time; an empty one is not left behind."""
    while True:
        with part.open("ab") as stream:
            fcntl.flock(stream, fcntl.LOCK_EX)
            # Whoever held the lock before may have renamed or removed the file that was opened.
            if _is_at(part, stream):
                try:
                    yield stream
                finally:
                    with contextlib.suppress(OSError):
                        stream.flush()
                        if os.fstat(stream.fileno()).st_size == 0:
                            part.unlink()  # while it is locked: the next process may be waiting for it
                return


def _is_at(path: Path, stream: BinaryIO) -> bool:
    """Return whether an open file is still the one at `path`."""
    try:
        return os.path.samestat(path.stat(), os.fstat(stream.fileno()))
    except FileNotFoundError:
        return False


def _complete(wanted: _Wanted, stream: BinaryIO, part: Path, sha256: str) -> None:
    """Fetch until the file is whole; bytes of an earlier attempt that turn out wrong are fetched once more."""
    resumed = stream.tell() > 0
    if resumed and sha256_file(part) == sha256:
        return
    _fetch(wanted, stream)
    stream.flush()
    if sha256_file(part) == sha256:
        return
    _restart(stream)
    if resumed:
        _fetch(wanted, stream)
        stream.flush()
        if sha256_file(part) == sha256:
            return
        _restart(stream)
    # The digest that was found is not said: a commit could learn by it what an internal address serves.
    raise ModelError(
        f"{address.host_of(wanted.url)} sent a file that has not the declared sha256 {sha256}",
        hint="check the sha256 in publisher.toml, or where the file comes from",
    )


def _restart(stream: BinaryIO) -> None:
    """Forget what has arrived."""
    stream.seek(0)
    stream.truncate()


def _fetch(wanted: _Wanted, stream: BinaryIO) -> None:
    """Append the rest of the file to `stream`, retrying as long as each attempt brings something or few fail."""
    failures = 0
    while True:
        before = stream.tell()
        try:
            return _attempt(wanted, stream)
        except _BrokenError as error:
            failures = 1 if stream.tell() > before else failures + 1
            pause = error.pause if error.pause is None else error.pause or own_pause(failures)
            reason = "took too long" if deadline.passed() else str(error)
            stop = pause is None or pause > LONGEST_PAUSE or failures >= ATTEMPTS or deadline.passed()
        if stop:
            raise NetworkError(
                f"download from {address.host_of(wanted.url)}: {reason}",
                hint="check the address" if pause is None else "the same command continues the download",
            )
        time.sleep(pause or 0.0)


def _attempt(wanted: _Wanted, stream: BinaryIO) -> None:
    """Ask once for what is missing and append it; raises _BrokenError where it does not arrive whole."""
    done = stream.tell()
    headers = {"Accept-Encoding": "identity", **({"Range": f"bytes={done}-"} if done else {})}
    try:
        with deadline.session() as session, _followed(session, wanted, headers) as answer:
            size = _begin(answer, stream, wanted)
            done = stream.tell()
            # Not iter_content: of a piece that breaks off, it gives nothing.
            while piece := answer.raw.read1(_PIECE):
                done += len(piece)
                wanted.pace.arrived += len(piece)
                deadline.move(wanted.pace.left())
                if done > wanted.limit:
                    _restart(stream)
                    raise _BrokenError(f"larger than {wanted.limit} bytes", None)
                stream.write(piece)
                if wanted.progress:
                    wanted.progress(done, size)
            if size is not None and done < size:
                raise _BrokenError("the connection broke")
    except (requests.RequestException, urllib3.exceptions.HTTPError) as error:
        raise _BrokenError(f"the connection failed ({type(error).__name__})") from None
    except ValueError:  # requests reads the address of a redirect even where it does not follow it
        raise _BrokenError("redirected to an address that cannot be used", None) from None


def _begin(answer: requests.Response, stream: BinaryIO, wanted: _Wanted) -> int | None:
    """Prepare `stream` for the body of an answer; return the whole file's size where it is said."""
    done = stream.tell()
    if answer.status_code == 416:
        _restart(stream)  # what is here is as long as the file, or longer, and is not the file
        raise _BrokenError("it has fewer bytes than an earlier attempt brought")
    if answer.status_code not in {200, 206}:
        waits = answer.status_code == 429 or answer.status_code >= 500
        asked = asked_pause({key.lower(): value for key, value in answer.headers.items()}) or 0.0
        raise _BrokenError(f"answered {answer.status_code}", asked if waits else None)
    where = _RANGE.match(answer.headers.get("content-range", ""))
    if answer.status_code == 200 or not where or int(where[1]) != done:
        if answer.status_code == 206:
            raise _BrokenError("answered with another part than asked for", None)
        _restart(stream)
        done = 0
    length = answer.headers.get("content-length", "")
    size = done + int(length) if re.fullmatch(r"[0-9]{1,15}", length) else None
    if size is not None and size > wanted.limit:
        raise _BrokenError(f"larger than {wanted.limit} bytes", None)
    return size


@contextlib.contextmanager
def _followed(session: requests.Session, wanted: _Wanted, headers: dict[str, str]) -> Iterator[requests.Response]:
    """Open `wanted.url`, following redirects to https, none of them with anything but the range in its headers."""
    url = wanted.url
    for _ in range(MOST_REDIRECTS + 1):
        target, host = loopback_target(url)
        sent = headers | ({"Host": host} if host else {})
        timeout = (CONNECT_TIMEOUT, wanted.read_timeout)
        with session.get(target, headers=sent, stream=True, allow_redirects=False, timeout=timeout) as answer:
            if not answer.is_redirect:
                yield answer
                return
            location = answer.headers["location"]
        url = urllib.parse.urljoin(url, location)
        address.split(url)
        if not url.startswith("https://") or (address.is_loopback(url) and not wanted.loopback):
            raise _BrokenError("redirected to an address that is not https, or is this machine's own", None)
    raise _BrokenError("redirected too often", None)


def _check(url: str, *, loopback: bool) -> None:
    """Refuse an address that must not be asked for a file."""
    try:
        address.split(url)
    except ValueError as error:
        raise NetworkError(f"an address cannot be used: {error}", hint="use an https address") from None
    if address.is_loopback(url):
        if not loopback:
            raise NetworkError(
                "a file is not fetched from this machine itself",
                hint="PUBLISHER_LOOPBACK_SOURCES=1 allows it, where every commit is trusted",
            )
    elif not url.startswith("https://"):
        raise NetworkError("a file is only downloaded over https", hint="use an https address")
