"""Where this installation came from, so that a new adopter's builds and workflows can install the same.

Sources: PEP 610 (direct_url.json), https://packaging.python.org/en/latest/specifications/direct-url/
"""

from __future__ import annotations

import importlib.metadata
import json
import re
import subprocess
import sys
import tempfile
import urllib.parse
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from publisher.errors import PublisherError, UsageError
from publisher.git import Repository
from publisher.version import __version__

if TYPE_CHECKING:
    from collections.abc import Mapping

NAME = "snapshot-publisher"
ACTION = ".github/actions/publish"
_FORGE = re.compile(r"https://github\.com/([\w.-]+/[\w.-]+?)(?:\.git)?/?")
_PUBLIC = re.compile(r"https://[a-z0-9.-]+/[\w./-]+")


@dataclass(frozen=True, slots=True)
class Installation:
    """What another machine has to be told to install this publisher."""

    requirement: str
    """What pip installs in a build on Netlify."""
    wheel: Path | None = None
    """A wheel to commit to the repository, where nothing else could be installed from elsewhere."""
    action: str = ""
    """`OWNER/REPO/PATH@COMMIT` of the GitHub Action; empty where it is not known."""


def installation(told: Mapping[str, Any] | None, folder: Path) -> Installation:
    """Return how to install this publisher elsewhere; `told` is its direct_url.json, `folder` takes a wheel.

    A release is named by its version, a checkout of a public repository by its address and commit; otherwise the wheel
    itself goes into the adopter's repository. Raises UsageError where no wheel can be made.
    """
    if told is None:
        return Installation(f"{NAME}=={__version__}")
    url = str(told.get("url", ""))
    if isinstance(told.get("vcs_info"), dict):
        return _from_git(url, str(told["vcs_info"].get("commit_id", "")))
    place = Path(urllib.parse.unquote(urllib.parse.urlsplit(url).path))
    if not url.startswith("file:"):
        return Installation(f"{NAME} @ {url}")
    if place.suffix == ".whl":
        return _from_wheel(place)
    pushed = _pushed(place)
    return _from_git(*pushed) if pushed else _from_wheel(_built(place, folder))


def direct_url() -> dict[str, Any] | None:
    """Return what pip wrote down of where this installation came from; None for a release from an index."""
    text = importlib.metadata.distribution(NAME).read_text("direct_url.json")
    found: dict[str, Any] | None = json.loads(text) if text else None
    return found


def _from_git(url: str, commit: str) -> Installation:
    forge = _FORGE.fullmatch(url)
    action = f"{forge[1]}/{ACTION}@{commit}" if forge else ""
    return Installation(f"{NAME} @ git+{url}@{commit}", action=action)


def _from_wheel(wheel: Path) -> Installation:
    return Installation(f"./hooks/{wheel.name}", wheel=wheel)


def _pushed(checkout: Path) -> tuple[str, str] | None:
    """Return the public address and the commit of a checkout that is clean and pushed, or None."""
    try:
        repository = Repository(checkout)
        commit = repository.resolve("HEAD")
        urls = [repository.setting(f"remote.{name}.url") for name in repository.remotes()]
        public = next((url for url in urls if _PUBLIC.fullmatch(url)), None)
        there = repository.text("branch", "--remotes", "--contains", commit).strip()
        return (public, commit) if public and there and not repository.is_dirty() else None
    except PublisherError:
        return None  # no repository at all: an unpacked source distribution


def _built(source: Path, folder: Path) -> Path:
    """Return a wheel of the source folder that this installation was made from."""
    folder = Path(tempfile.mkdtemp(dir=folder))
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", str(folder), str(source)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    wheels = list(folder.glob("*.whl"))
    if done.returncode != 0 or len(wheels) != 1:
        raise UsageError(
            f"no wheel can be made of {source}, and Netlify could not install it otherwise",
            detail=done.stderr[-2000:],
            hint="--requirement names what pip can install there",
        )
    return wheels[0]
