"""The host's memory: the site, its deploys and its builds, in files and indexed.

Every change is one file written whole. A deploy exists for visitors from the moment its file says `ready`, which is
written after its manifest and all its blobs.
"""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import time
from collections import OrderedDict
from typing import TYPE_CHECKING, TypeVar

import msgspec

from publisher.errors import StorageError
from publisher.files import atomic_write, compact_json, storage_error
from publisher.host.store.blobs import Blobs
from publisher.host.store.records import SCHEMA, Build, Deploy, Hook, Manifest, Site, Upload, new_id
from publisher.host.store.submissions import Submissions

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_CACHED_MANIFESTS = 256
_LETTING_GO = 1.0
"""Seconds that a lock may outlive the host that held it: until a process that it was starting has begun."""
_ID = re.compile(r"[0-9a-f]{24}\Z")
Record = TypeVar("Record", Site, Deploy, Build, Manifest, Upload)


class Store:
    """Everything that survives a restart, below one folder."""

    site: Site

    def __init__(self, folder: Path) -> None:
        """Lock `folder`. Raises StorageError when another host uses it."""
        self.folder = folder
        self.deploys: dict[str, Deploy] = {}
        self.builds: dict[str, Build] = {}
        self.blobs = Blobs(folder / "blobs")
        self.submissions = Submissions(folder / "submissions")
        self._branches: dict[str, list[str]] = {}
        self._labels: dict[str, str] = {}
        self._manifests: OrderedDict[str, Manifest] = OrderedDict()
        self._lock = _take_hold(folder)

    def load(self, name: str, hook_branch: str, now: float) -> None:
        """Read everything back, or start a site called `name` with a hook for `hook_branch`."""
        path = self.folder / "site.json"
        if path.exists():
            self.site = _read(path, Site)
        else:
            hook = Hook(id=new_id(), title="publisher", branch=hook_branch, created_at=now)
            self.save_site(
                Site(
                    schema=SCHEMA,
                    id=new_id(),
                    name=name,
                    account_id=new_id(),
                    created_at=now,
                    updated_at=now,
                    hooks=(hook,),
                )
            )
        if self.site.name != name:
            raise StorageError(f"{self.folder} holds the site {self.site.name}, not {name}")
        deploys = [_read(path, Deploy) for path in (self.folder / "deploys").glob("*.json")]
        for deploy in sorted(deploys, key=lambda deploy: deploy.number):
            self.remember(deploy)
        for path in (self.folder / "builds").glob("*.json"):
            build = _read(path, Build)
            self.builds[build.id] = build
        self._sweep()

    def close(self) -> None:
        """Unlock the folder."""
        os.close(self._lock)

    def save_site(self, site: Site) -> None:
        """Store the site."""
        self._write(self.folder / "site.json", site)
        self.site = site

    def save_deploy(self, deploy: Deploy) -> Deploy:
        """Store a deploy and index it."""
        self._write(self.folder / "deploys" / f"{deploy.id}.json", deploy)
        self.remember(deploy)
        return deploy

    def save_build(self, build: Build) -> Build:
        """Store a build."""
        self._write(self.folder / "builds" / f"{build.id}.json", build)
        self.builds[build.id] = build
        return build

    def next_number(self) -> int:
        """Return the number of the next deploy."""
        return 1 + max((deploy.number for deploy in self._newest_ever()), default=0)

    def newest_first(self, branch: str | None = None) -> Iterator[Deploy]:
        """Yield the deploys, or those of one branch, the newest first."""
        ids = self.deploys if branch is None else self._branches.get(branch, [])
        return (self.deploys[deploy_id] for deploy_id in reversed(ids))

    def by_label(self, label: str) -> Deploy | None:
        """Return the newest successful deploy of the branch that has this label in its address."""
        deploy_id = self._labels.get(label)
        return self.deploys[deploy_id] if deploy_id else None

    def published(self) -> Deploy | None:
        """Return the deploy that the main address shows."""
        return self.deploys.get(self.site.published)

    def manifest(self, deploy_id: str) -> Manifest:
        """Return what a deploy serves, from memory if it was requested recently."""
        manifest = self._manifests.pop(deploy_id, None) or _read(self._manifest_path(deploy_id), Manifest)
        self._manifests[deploy_id] = manifest
        while len(self._manifests) > _CACHED_MANIFESTS:
            self._manifests.popitem(last=False)
        return manifest

    def manifest_in_memory(self, deploy_id: str) -> Manifest | None:
        """Return what a deploy serves if that needs no disk access."""
        return self._manifests.get(deploy_id)

    def save_manifest(self, deploy_id: str, manifest: Manifest) -> None:
        """Store what a deploy serves; nobody sees it before the deploy is `ready`."""
        self._write(self._manifest_path(deploy_id), manifest)

    def upload(self, deploy_id: str) -> Upload | None:
        """Return which files an uploaded deploy still waits for."""
        path = self.folder / "uploads" / f"{deploy_id}.json"
        return _read(path, Upload) if path.exists() else None

    def save_upload(self, upload: Upload) -> None:
        """Store which files a deploy will have."""
        self._write(self.folder / "uploads" / f"{upload.deploy_id}.json", upload)

    def end_upload(self, deploy_id: str) -> None:
        """Forget what an uploaded deploy waited for."""
        (self.folder / "uploads" / f"{deploy_id}.json").unlink(missing_ok=True)

    def log_path(self, deploy_id: str) -> Path:
        """Return where a deploy's build log is kept."""
        return self.folder / "logs" / f"{deploy_id}.txt"

    def forget(self, deploy: Deploy) -> None:
        """Delete a deploy permanently; its blobs go at the next start, when nothing can be using them."""
        atomic_write(self.folder / "unswept", b"", mode=0o600)
        for path in self._files_of(deploy):
            path.unlink(missing_ok=True)
        self._manifests.pop(deploy.id, None)
        self.builds.pop(deploy.build_id, None)
        del self.deploys[deploy.id]
        self._branches[deploy.branch].remove(deploy.id)
        label = branch_label(deploy.branch, self.site.name)
        if self._labels.get(label) == deploy.id:
            self._relabel(label)

    def _files_of(self, deploy: Deploy) -> list[Path]:
        names = ("deploys", "uploads", "manifests")
        paths = [self.folder / name / f"{deploy.id}.json" for name in names]
        if deploy.build_id:
            paths.append(self.folder / "builds" / f"{deploy.build_id}.json")
        return [*paths, self.log_path(deploy.id)]

    def _manifest_path(self, deploy_id: str) -> Path:
        return self.folder / "manifests" / f"{deploy_id}.json"

    def _newest_ever(self) -> list[Deploy]:
        return [self.deploys[next(reversed(self.deploys))]] if self.deploys else []

    def remember(self, deploy: Deploy) -> None:
        """Index a deploy without storing it: all that can be done when the disk is full."""
        if deploy.id not in self.deploys:
            self._branches.setdefault(deploy.branch, []).append(deploy.id)
        self.deploys[deploy.id] = deploy
        if deploy.state == "ready" and deploy.branch and not deploy.draft:
            label = branch_label(deploy.branch, self.site.name)
            shown = self.by_label(label)
            if shown is None or shown.number <= deploy.number:
                self._labels[label] = deploy.id

    def _relabel(self, label: str) -> None:
        del self._labels[label]
        for deploy in list(self.deploys.values()):
            if branch_label(deploy.branch, self.site.name) == label:
                self.remember(deploy)

    def _write(self, path: Path, record: Record) -> None:
        atomic_write(path, compact_json(record), mode=0o600)

    def _sweep(self) -> None:
        """Remove what a crash or a deletion left behind."""
        shutil.rmtree(self.folder / "work", ignore_errors=True)
        for home in (self.folder / "home").glob("*"):
            if home.name != self.site.cache:
                shutil.rmtree(home, ignore_errors=True)
        marker = self.folder / "unswept"
        if marker.exists():
            self.blobs.keep_only(set(self._wanted_blobs()))
            marker.unlink()

    def _wanted_blobs(self) -> Iterator[str]:
        for deploy in self.deploys.values():
            if deploy.state == "ready":
                yield from (entry.sha256 for entry in self.manifest(deploy.id).files.values())
            upload = self.upload(deploy.id)
            found = map(self.blobs.find, upload.files.values()) if upload is not None else ()
            yield from (entry.sha256 for entry in found if entry is not None)


def is_id(text: str) -> bool:
    """Tell whether `text` has the form of an id."""
    return bool(_ID.match(text))


def branch_label(branch: str, site: str) -> str:
    """Return what stands for `branch` in `<label>--<site>`: lower case, dashes, the whole at most 63 characters."""
    return re.sub(r"[^a-z0-9-]", "-", branch.lower())[: 63 - len(site) - 2].strip("-")


def _hold(handle: int) -> None:
    """Lock a file, and wait a moment for it: a killed host's lock lives on in a build that it was just starting."""
    deadline = time.monotonic() + _LETTING_GO
    while True:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.02)
        else:
            return


def _take_hold(folder: Path) -> int:
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        handle = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise storage_error(error, folder) from error
    try:
        _hold(handle)
    except OSError as error:
        os.close(handle)
        message = f"another host is using {folder}"
        raise StorageError(message, hint="stop it, or give this one another folder") from error
    return handle


def _read(path: Path, kind: type[Record]) -> Record:
    try:
        record = msgspec.json.decode(path.read_bytes(), type=kind)
    except OSError as error:
        raise StorageError(f"cannot read {path}: {error.strerror}") from error
    except msgspec.ValidationError as error:
        raise StorageError(f"{path} was not written by this host: {error}") from error
    except msgspec.DecodeError as error:
        raise StorageError(f"{path} is damaged: {error}") from error
    if record.schema > SCHEMA:
        raise StorageError(f"{path} was written by a newer publisher (schema {record.schema}, not {SCHEMA})")
    if record.schema < SCHEMA:
        raise StorageError(f"{path} was written by an older publisher (schema {record.schema}, not {SCHEMA})")
    return record
