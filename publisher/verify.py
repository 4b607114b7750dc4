"""Prove that an address serves exactly the files that a snapshot's manifest lists.

Whatever the address answers is hostile: every answer is bounded in size and time, and what cannot be read is a finding.
"""

from __future__ import annotations

import re
import threading
import urllib.parse
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from publisher import schema
from publisher.errors import DeployError, NetworkError, StorageError
from publisher.files import sha256_hex
from publisher.schema import Manifest, SnapshotIdentity
from publisher.web import Web

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from publisher.schema import ManifestEntry
    from publisher.web import Answer

PARALLEL = 8
LARGEST = 64 << 20
"""Bytes of one file."""
LARGEST_MANIFEST = 16 << 20
MOST_FILES = 54_000
"""Files that Netlify allows in one folder."""
MOST_UNREADABLE = 16
"""After so many files that do not come, the others are not asked for: each can take minutes."""
ATTEMPTS, READ_TIMEOUT = 3, 10.0
_SAFE = "/-._~!$&'()*+,;=:@"
_TYPES = {
    ".html": {"text/html"},
    ".css": {"text/css"},
    ".js": {"text/javascript", "application/javascript"},
    ".svg": {"image/svg+xml"},
    ".json": {"application/json"},
}
"""The types that a browser which is told `nosniff` insists on."""


@dataclass(slots=True)
class Verification:
    """What was found at an address; nothing is wrong when `problems` is 0.

    `missing`, `changed`, `unreadable` (too slow, or broken off) and `private` are paths, `headers` are sentences: path,
    header, what is wrong with it.
    """

    address: str
    manifest_sha256: str = ""
    files: int = 0
    missing: list[str] = field(default_factory=list)
    changed: list[str] = field(default_factory=list)
    unreadable: list[str] = field(default_factory=list)
    private: list[str] = field(default_factory=list)
    headers: list[str] = field(default_factory=list)
    manifest: bytes = field(default=b"", repr=False)
    """The manifest as it was served."""

    @property
    def damaged(self) -> int:
        """How many files are not as the manifest says, byte for byte."""
        return len(self.missing) + len(self.changed) + len(self.unreadable) + len(self.private)

    @property
    def problems(self) -> int:
        """How many files and headers are not as the manifest says."""
        return self.damaged + len(self.headers)


def patient() -> Web:
    """Return the client with which addresses are looked at, where nothing else is waiting."""
    return Web(attempts=ATTEMPTS, read_timeout=READ_TIMEOUT)


def verify(
    address: str, *, record_sha256: str, commit: str = "", manifest_sha256: str = "", web: Callable[[], Web] = patient
) -> Verification:
    """Fetch the manifest and every file that it lists from `address` and compare digests and headers.

    `record_sha256` and `commit` are the record and the snapshot commit that `snapshot.json` has to name;
    `manifest_sha256`, where known, is the only manifest that will do. `web` makes the clients, one per thread. Raises
    DeployError when there is no manifest to go by, NetworkError when the host cannot be reached.
    """
    report = Verification(address)
    manifest = _manifest(web(), address, report, manifest_sha256)
    if manifest is None:
        return report
    local = threading.local()

    def look(path: str) -> tuple[str, str, list[str]]:
        if not hasattr(local, "web"):
            local.web = web()
        return path, *_look(local.web, address, path, manifest)

    pool = ThreadPoolExecutor(PARALLEL)
    try:
        for path, fault, headers in pool.map(look, sorted(manifest.files)):
            report.files += 1
            if fault:
                getattr(report, fault).append(path)
            report.headers += headers
            if len(report.unreadable) >= MOST_UNREADABLE:
                return report
    finally:
        pool.shutdown(cancel_futures=True)
    if not report.damaged:
        _check_record(web(), address, record_sha256, commit)
    return report


def require(report: Verification) -> Verification:
    """Return the report when every byte is right; DeployError that lists what is not, by kind, otherwise.

    A header that differs is no reason: it may be the whole site's setting, and the pages carry their policy themselves.
    """
    if not report.damaged:
        return report
    if report.private:
        raise DeployError(
            f"{report.address} is private: it asks for a login",
            hint="Netlify → Access control → make branch deploys public, then run it again",
        )
    listing = [f"{kind}: {path}" for kind in ("missing", "changed", "unreadable") for path in getattr(report, kind)]
    raise DeployError(
        f"{report.address} does not serve what was rendered: {report.damaged} of {report.files} files",
        detail="\n".join(listing[:20]),
        hint="publisher verify --repair",
    )


def fetch_manifest(web: Web, address: str, *, manifest_sha256: str = "") -> tuple[Manifest, str]:
    """Return the manifest that `address` serves, and its digest.

    Raises DeployError where there is none, or another than `manifest_sha256` where that is given; NetworkError where
    the host cannot be reached.
    """
    report = Verification(address)
    manifest = _manifest(web, address, report, manifest_sha256)
    if manifest is None:
        raise DeployError(f"{address} is private: it asks for a login")
    if report.changed:
        raise DeployError(
            f"{address} serves another manifest than the one that was asked for",
            detail=f"asked for  {manifest_sha256}\nserved     {report.manifest_sha256}",
        )
    return manifest, report.manifest_sha256


def manifest_bytes(web: Web, address: str, manifest_sha256: str) -> bytes:
    """Return the manifest with a digest, byte for byte as `address` serves it; DeployError, NetworkError as above."""
    report = Verification(address)
    if _manifest(web, address, report, manifest_sha256) is None or report.changed:
        raise DeployError(f"{address} does not serve the manifest of its receipt", hint="publisher verify")
    return report.manifest


def fetch(web: Web, address: str, path: str, manifest: Manifest) -> bytes:
    """Return a file that the manifest lists; DeployError where `address` serves other bytes, or none."""
    entry = manifest.files[path]
    answer = _ask(web, address, path, entry)
    if answer.status != 200:
        raise DeployError(f"{address}/{path} answered {answer.status}")
    if not _is_listed(answer.body, entry):
        raise DeployError(f"{address}/{path} is not what the manifest lists")
    return answer.body


def _manifest(web: Web, address: str, report: Verification, wanted: str) -> Manifest | None:
    """Fetch and check the manifest; None where the address is private."""
    answer = web.request("GET", f"{address}/manifest.json", what="the manifest", limit=LARGEST_MANIFEST)
    if _is_private(answer.status):
        report.private.append("manifest.json")
        return None
    if answer.status != 200:
        raise DeployError(f"{address}/manifest.json answered {answer.status}", hint="publisher verify --repair")
    report.manifest, report.manifest_sha256 = answer.body, sha256_hex(answer.body)
    if wanted and report.manifest_sha256 != wanted:
        report.changed.append("manifest.json")
    try:
        manifest = schema.decode(answer.body, Manifest, f"{address}/manifest.json")
    except StorageError as error:
        raise DeployError(error.message, hint="publisher verify --repair") from error
    if len(manifest.files) > MOST_FILES:
        raise DeployError(f"{address}/manifest.json lists {len(manifest.files)} files, more than {MOST_FILES}")
    return manifest


def _headers_of(manifest: Manifest, path: str) -> dict[str, str]:
    """Return the headers that a file has to come with; of two rules for one name the later counts."""
    found: dict[str, str] = {}
    for pattern, headers in manifest.headers.items():
        if f"/{path}" == pattern or (pattern.endswith("/*") and f"/{path}".startswith(pattern[:-1])):
            found |= headers
    return found


def _look(web: Web, address: str, path: str, manifest: Manifest) -> tuple[str, list[str]]:
    """Fetch one file; return what is wrong with it, or nothing, and what is wrong with its headers.

    Raises NetworkError where not even the manifest comes any more: then it is the host, not the file.
    """
    entry = manifest.files[path]
    try:
        answer = _ask(web, address, path, entry)
    except NetworkError as error:
        if error.status is None:
            web.request("GET", f"{address}/manifest.json", what="the manifest", limit=LARGEST_MANIFEST)
        return "unreadable", []
    if _is_private(answer.status):
        return "private", []
    # 404.html is a page like any other here, but is served with its own status.
    expected = {200, 404} if path == "404.html" else {200}
    if answer.status not in expected:
        return "missing", []
    return "" if _is_listed(answer.body, entry) else "changed", _wrong_headers(
        path, _headers_of(manifest, path), answer.headers
    )


def _ask(web: Web, address: str, path: str, entry: ManifestEntry) -> Answer:
    """Ask for a file, and read little more than the manifest says that it has."""
    url = f"{address}/{urllib.parse.quote(path, safe=_SAFE)}"
    return web.request("GET", url, what=path, limit=min(LARGEST, max(0, entry.size) + (1 << 20)))


def _is_listed(body: bytes, entry: ManifestEntry) -> bool:
    """Return whether bytes are those that the manifest lists."""
    return len(body) == entry.size and sha256_hex(body) == entry.sha256


def _wrong_headers(path: str, wanted: Mapping[str, str], found: Mapping[str, str]) -> list[str]:
    """Return a sentence for each header that is missing or says something else; the values stay unquoted: not ours."""
    wrong = []
    for name, value in wanted.items():
        shown = found.get(name.lower())
        if shown is None or _directives(shown) != _directives(value):
            wrong.append(f"{path}: {name} {'is missing' if shown is None else 'differs'}")
    types = _TYPES.get(PurePosixPath(path).suffix)
    if types and found.get("content-type", "").partition(";")[0].strip().lower() not in types:
        wrong.append(f"{path}: Content-Type is not {min(types)}")
    return wrong


def _directives(value: str) -> list[str]:
    """Return what a header says, whatever its order, spaces and case: hosts write them anew."""
    return sorted(" ".join(part.split()).lower() for part in re.split("[,;]", value))


def _check_record(web: Web, address: str, record_sha256: str, commit: str) -> None:
    """Raise DeployError for a site that is whole but shows another record or another snapshot commit."""
    body = web.request("GET", f"{address}/snapshot.json", what="snapshot.json", limit=LARGEST).body
    try:
        shown = schema.decode(body, SnapshotIdentity, f"{address}/snapshot.json")
    except StorageError as error:
        raise DeployError(error.message, hint="did somebody push to the snapshot branch?") from error
    if shown.record_sha256 != record_sha256 or (commit and shown.snapshot != commit):
        raise DeployError(
            f"{address} shows another record than the snapshot's", hint="did somebody push to the snapshot branch?"
        )


def _is_private(status: int) -> bool:
    """Return whether a status means a login stands before the site."""
    return status in {401, 403} or 300 <= status < 400
