"""Style, scripts and pictures: named by their contents, so that a browser may keep them for ever."""

from __future__ import annotations

import re
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from publisher.files import sha256_hex

if TYPE_CHECKING:
    from collections.abc import Mapping

_URL = re.compile(rb"url\((['\"]?)([^'\")]+)\1\)")


def fingerprinted(files: Mapping[str, bytes]) -> tuple[dict[str, str], dict[str, bytes]]:
    """Return {name: path} for templates and {path: bytes} for the site; `url(…)` in a style sheet follows the names."""
    paths: dict[str, str] = {}
    contents: dict[str, bytes] = {}
    # Style sheets last: they name the other files, whose digests have to be known by then.
    for name in sorted(files, key=lambda item: (item.endswith(".css"), item)):
        data = files[name]
        if name.endswith(".css"):
            data = _relinked(data, paths)
        elif name.endswith(".js"):
            data = _light(data)
        place = PurePosixPath(name)
        paths[name] = f"assets/{place.with_name(f'{place.stem}.{sha256_hex(data)[:12]}{place.suffix}')}"
        contents[paths[name]] = data
    return paths, contents


def _light(script: bytes) -> bytes:
    """Return a script without indentation and lines of comment; as it is where a text may go over several lines."""
    lines = (line.strip() for line in script.splitlines())
    kept = [line for line in lines if line and not line.startswith(b"//")]
    if any(b"`" in line or line.endswith(b"\\") or line.count(b"/*") != line.count(b"*/") for line in kept):
        return script
    return b"".join(line + b"\n" for line in kept)


def _relinked(sheet: bytes, paths: Mapping[str, str]) -> bytes:
    def follow(match: re.Match[bytes]) -> bytes:
        path = paths.get(match[2].decode(errors="replace"))
        return b"url(%s)" % path.removeprefix("assets/").encode() if path else match[0]

    return _URL.sub(follow, sheet)
