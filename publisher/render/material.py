"""What a site is made of: our templates, assets, prose and strings, with a team's own in their places, file by file."""

from __future__ import annotations

import re
import stat
from pathlib import Path
from typing import TYPE_CHECKING

from publisher.errors import ConfigError, StorageError
from publisher.files import walk_files
from publisher.render import text

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

PARTS = ("templates", "assets", "content", "static", "strings")
SHIPPED = "publisher/"
"""Below a part, the name that our own file always has: a team's template extends `publisher/base.html`."""
LARGEST, MOST_BYTES, MOST_FILES = 10_000_000, 100_000_000, 5_000
"""Bytes of one of a team's files (hosts do not serve larger ones well), of all of them, and how many there may be."""
_SERVED, _EXTENDED = ("assets/", "static/"), ("templates/", "strings/")
# Each part of a path becomes part of an address. Of hidden names the host serves `.well-known` only.
_NAME = re.compile(r"(?:\.well-known|[A-Za-z0-9_][A-Za-z0-9._-]{0,127})(?:/[A-Za-z0-9_][A-Za-z0-9._-]{0,127})*\Z")


def site_folder() -> Path:
    """Return the folder of the site's own templates, assets and content: in a wheel, or in a source checkout."""
    package = Path(__file__).resolve().parents[1]
    for folder in (package / "site", package.parent / "site"):
        if (folder / "templates").is_dir():
            return folder
    raise StorageError(
        "publisher's own site templates are missing", hint="pip install --force-reinstall snapshot-publisher"
    )


def material(tree: Path) -> tuple[Mapping[str, bytes], frozenset[str]]:
    """Return {part/path: bytes} of everything, and which of these the team's `site/` in `tree` brought.

    Our templates and strings are there a second time as `part/publisher/path`, whatever a team replaces.

    Raises ConfigError for what a team cannot bring: a link, which could lead anywhere on the machine that builds, a
    name that cannot stand in an address, a file or a folder too large.
    """
    ours = {f"{part}/{path}": _read(place) for part in PARTS for path, place in walk_files(site_folder() / part)}
    theirs = _own(tree / "site")
    extended = (name for name in ours if name.startswith(_EXTENDED))
    shipped = {name.replace("/", f"/{SHIPPED}", 1): ours[name] for name in extended}
    return dict(sorted({**ours, **shipped, **theirs}.items())), frozenset(theirs)


def _own(folder: Path) -> dict[str, bytes]:
    """Return {part/path: bytes} of a team's own site."""
    found: dict[str, bytes] = {}
    total = 0
    for name, place in _regular(folder):
        if name.startswith(tuple(f"{part}{SHIPPED}" for part in _EXTENDED)):
            raise ConfigError(f"site/{name}: the name {SHIPPED} stands for the shipped files", hint="move it")
        if name.startswith(_SERVED) and not _NAME.match(name.split("/", 1)[1]):
            raise ConfigError(
                f"site/{text.line(name, 120)} cannot be served: its name stands in an address",
                hint="rename it; use only letters a-z, digits, . _ and -",
            )
        size = place.stat().st_size
        total += size
        if size > LARGEST:
            raise ConfigError(f"site/{name} has {text.size(size)}: hosts serve files up to {text.size(LARGEST)}")
        if total > MOST_BYTES or len(found) >= MOST_FILES:
            most = f"{text.size(MOST_BYTES)} in {text.count(MOST_FILES)} files"
            raise ConfigError(f"site/ has more than {most}", hint="keep large files elsewhere and link to them")
        found[name] = _read(place)
    return found


def _regular(folder: Path) -> Iterator[tuple[str, Path]]:
    """Yield (part/path, place) of every file in the parts of `folder`, in order; ConfigError for a link."""
    for part in PARTS:
        for place in _below(folder / part, folder.parent):
            yield place.relative_to(folder).as_posix(), place


def _below(place: Path, root: Path) -> Iterator[Path]:
    """Yield the regular files at and below a place."""
    named = text.line(place.relative_to(root).as_posix(), 120)
    try:
        mode = place.lstat().st_mode
        if stat.S_ISLNK(mode) or place.parent.is_symlink():
            raise ConfigError(f"{named} is a link; a site is made of files of the commit", hint=f"copy it to {named}")
        if stat.S_ISREG(mode):
            yield place
        elif stat.S_ISDIR(mode):
            for inside in sorted(place.iterdir()):
                yield from _below(inside, root)
    except (FileNotFoundError, NotADirectoryError):
        return


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise StorageError(f"cannot read {path}: {error.strerror or error}") from error
