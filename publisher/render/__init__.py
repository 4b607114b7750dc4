"""Ledger to site: gather everything first, then write.

`build` turns the tree of a snapshot commit into every file of its site, in memory: the same tree and address give the
same bytes, always. `render` also writes them, whole or not at all.
"""

from __future__ import annotations

import gc
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from publisher.errors import ConfigError
from publisher.files import sha256_hex
from publisher.render import feedback, feeds, links, split
from publisher.render.gather import Source, gather
from publisher.render.language import catalogue, speaking
from publisher.render.material import site_folder
from publisher.render.site import Site
from publisher.render.whole import Files
from publisher.render.write import DEPLOY, MANIFEST, manifest, write

if TYPE_CHECKING:
    from collections.abc import Iterator
    from gettext import NullTranslations
    from pathlib import Path

    from publisher.render.gather import Snapshot

__all__ = ["Rendered", "Source", "build", "render", "site_folder"]


@dataclass(frozen=True, slots=True)
class Rendered:
    """What was written: the number of files, the manifest's digest, and the mistakes that `strict` does not accept."""

    files: int
    manifest_sha256: str
    warnings: tuple[str, ...] = ()


def build(source: Source) -> dict[str, bytes]:
    """Return every file of the snapshot's site by path; nothing is written and nothing but the tree is read.

    Raises UsageError where the tree holds no snapshot, StorageError where a part of it cannot be read, ConfigError
    where the tree's own `site/` has a mistake.
    """
    snapshot = gather(source)
    with speaking(_catalogue(snapshot)):
        return dict(_files(snapshot, source))


def _catalogue(snapshot: Snapshot) -> NullTranslations:
    """Return the sentences of the language that the snapshot's pages are in."""
    prefix = "strings/"
    files = {name.removeprefix(prefix): data for name, data in snapshot.site.items() if name.startswith(prefix)}
    return catalogue(snapshot.lang, files)


def _files(snapshot: Snapshot, source: Source) -> Files:
    """Return the same, each file with the whole texts of answers made when it is asked for."""
    if snapshot.canary is not None and snapshot.canary.over:
        files, rules = Files(split.over(snapshot), {}), dict[str, dict[str, str]]()
    else:
        files = Site(snapshot).render()
        rules = feeds.headers(snapshot, files)
    processed = feedback.PROCESSED if feedback.offered(snapshot) else frozenset()
    ready = {
        MANIFEST: manifest(files, rules, processed),
        DEPLOY: feeds.deploy_json(snapshot, source),
    }
    return files.with_files(ready)


def render(source: Source, into: Path, *, strict: bool = True) -> Rendered:
    """Build the site, check it, and make the folder `into` hold exactly it.

    With `strict`, a dead internal link or anything that the site's policy would block is a ConfigError that lists all
    of them, and `into` is left alone.
    """
    with _collecting_rarely():
        return _render(source, into, strict=strict)


def _render(source: Source, into: Path, *, strict: bool) -> Rendered:
    snapshot = gather(source)
    with speaking(_catalogue(snapshot)):
        files = _files(snapshot, source)
        problems = links.check(files)
        if problems and strict:
            count = "1 mistake" if len(problems) == 1 else f"{len(problems)} mistakes"
            raise ConfigError(
                f"the rendered site has {count}", detail="\n".join(problems), hint="correct the files in site/"
            )
        write(files, into)
        return Rendered(len(files), sha256_hex(files[MANIFEST]), tuple(problems))


@contextmanager
def _collecting_rarely() -> Iterator[None]:
    """Let the garbage collector look less often meanwhile.

    A site is made of values that are needed until it is written: to look at all of them again and again takes a fifth
    of the time that 10,000 runs take.
    """
    before = gc.get_threshold()
    gc.set_threshold(50_000, 20, 50)
    try:
        yield
    finally:
        gc.set_threshold(*before)
