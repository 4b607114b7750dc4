"""What is in a publish folder: which files become part of a deploy, and which make it fail."""

from __future__ import annotations

import os
import re
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

from publisher.errors import DeployError
from publisher.host.rules.forms import process_forms
from publisher.host.rules.routing import headers_from_toml, parse_headers, parse_redirects, redirects_from_toml
from publisher.host.store.blobs import read_plain_file
from publisher.host.store.records import SCHEMA, DeclaredForm, Entry, HeaderRule, Manifest, RedirectRule

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from typing import Any

    from publisher.host.options import Bounds
    from publisher.host.store.blobs import Blobs

_RULES = frozenset({"_headers", "_redirects"})
_UNWANTED = re.compile(r"[\x00-\x1f\x7f#?\\]")
_MAX_RULES_FILE = 4 * 1024 * 1024
_WRITERS = 8


def publish_folder(
    root: Path,
    blobs: Blobs,
    bounds: Bounds,
    *,
    headers: Iterable[dict[str, Any]] = (),
    redirects: Iterable[dict[str, Any]] = (),
    detect_forms: bool = True,
    keep_going: Callable[[], bool] = lambda: True,
) -> Manifest:
    """Store every file below `root` and return the manifest. Raises DeployError for what cannot be published.

    Hidden files are left out, as Netlify's own tools do, all but `.well-known`.
    """
    found = dict(published_files(root, bounds))
    if not found:
        raise DeployError("the publish folder has no files")

    def store(path: Path) -> Entry:
        if not keep_going():
            raise DeployError("Canceled build")
        return blobs.add(read_plain_file(path, bounds.file))

    # Each new file waits for the disk; together they wait about as long as one does.
    with ThreadPoolExecutor(_WRITERS) as writers:
        try:
            files = dict(zip(found, writers.map(store, found.values()), strict=True))
        finally:
            writers.shutdown(cancel_futures=True)
    if sum(entry.size for entry in files.values()) > bounds.deploy:
        raise DeployError(f"the publish folder holds more than {bounds.deploy} bytes")
    texts = {name: _rules_text(root / name) for name in _RULES}
    files, forms = process_forms(files, blobs) if detect_forms else (files, ())
    return make_manifest(files, texts, headers=headers, redirects=redirects, forms=forms)


def make_manifest(
    files: dict[str, Entry],
    texts: dict[str, str],
    *,
    headers: Iterable[dict[str, Any]] = (),
    redirects: Iterable[dict[str, Any]] = (),
    forms: tuple[DeclaredForm, ...] = (),
) -> Manifest:
    """Put files and rules together: `_redirects` come before `netlify.toml`'s, and its headers after `_headers`."""
    header_rules: list[HeaderRule] = []
    redirect_rules: list[RedirectRule] = []
    problems: list[str] = []
    for found, said in (parse_headers(texts.get("_headers", "")), headers_from_toml(headers)):
        header_rules += found
        problems += said
    for rules, reported in (parse_redirects(texts.get("_redirects", "")), redirects_from_toml(redirects)):
        redirect_rules += rules
        problems += reported
    return Manifest(
        schema=SCHEMA,
        files=files,
        headers=tuple(header_rules),
        redirects=tuple(redirect_rules),
        problems=tuple(problems),
        forms=forms,
    )


def check_name(name: str, bounds: Bounds) -> str:
    """Return a published path as it is, or raise DeployError."""
    if _UNWANTED.search(name):
        raise DeployError(f"the file name {name!r} has a #, a ?, a backslash or a control character")
    if len(name) > bounds.path:
        raise DeployError(f"the file name {name[:80]!r}… is longer than {bounds.path} characters")
    if name.startswith("/") or any(part in {"", ".", ".."} for part in name.split("/")):
        raise DeployError(f"the file name {name!r} is not a plain path")
    try:
        name.encode()
    except UnicodeEncodeError as error:
        raise DeployError(f"the file name {name!r} is not UTF-8") from error
    return name


def published_files(root: Path, bounds: Bounds) -> Iterator[tuple[str, Path]]:
    """Yield (path in the deploy, file to read), sorted; links may lead only to files inside the folder."""
    top = root.resolve()
    count = 0
    for folder, folders, names in os.walk(top):
        for name in folders:
            _check_folder(top, Path(folder) / name)
        folders[:] = sorted(name for name in folders if _wanted_folder(name))
        for name in sorted(names):
            path = Path(folder) / name
            relative = path.relative_to(top).as_posix()
            if name.startswith(".") or relative in _RULES:
                continue
            count += 1
            if count > bounds.files:
                raise DeployError(f"the publish folder holds more than {bounds.files} files")
            yield check_name(relative, bounds), _real_file(top, path)


def _wanted_folder(name: str) -> bool:
    return name == ".well-known" or not (name.startswith(".") or name in {"node_modules", "__MACOSX"})


def _check_folder(top: Path, path: Path) -> None:
    if path.is_symlink():
        raise DeployError(f"{path.relative_to(top)} is a link to a folder; only links to files are published")


def _real_file(top: Path, path: Path) -> Path:
    real = path.resolve()
    if not real.is_relative_to(top):
        raise DeployError(f"{path.relative_to(top)} is a link that leaves the publish folder")
    try:
        regular = stat.S_ISREG(real.lstat().st_mode)
    except OSError as error:
        raise DeployError(f"{path.relative_to(top)} cannot be read: {error.strerror}") from error
    if not regular:
        raise DeployError(f"{path.relative_to(top)} is not a regular file")
    return real


def _rules_text(path: Path) -> str:
    if not path.is_file() or path.is_symlink():
        return ""
    return read_plain_file(path, _MAX_RULES_FILE).decode("utf-8", "replace")
