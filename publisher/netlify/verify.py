"""Prove that an address serves exactly the files that a snapshot's manifest lists."""

from __future__ import annotations

import threading
import urllib.parse
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import msgspec

from publisher.errors import DeployError
from publisher.files import sha256_hex
from publisher.web import Web

PARALLEL = 8
LARGEST = 64 << 20
MOST_FILES = 54_000
_SAFE = "/-._~!$&'()*+,;=:@"


class ManifestEntry(msgspec.Struct, frozen=True):
    """One file of a deploy: its SHA-256 and its size in bytes."""

    sha256: str
    size: int


class Manifest(msgspec.Struct, frozen=True):
    """`manifest.json`: every file of a deploy that can be fetched."""

    schema: int
    files: dict[str, ManifestEntry]


@dataclass(slots=True)
class Verification:
    """What was found at an address; nothing is wrong when `problems` is empty."""

    address: str
    manifest_sha256: str = ""
    files: int = 0
    missing: list[str] = field(default_factory=list)
    changed: list[str] = field(default_factory=list)
    private: list[str] = field(default_factory=list)

    @property
    def problems(self) -> int:
        """How many files are not as the manifest says."""
        return len(self.missing) + len(self.changed) + len(self.private)


def verify(address: str, *, record_sha256: str, commit: str = "", manifest_sha256: str = "") -> Verification:
    """Fetch the manifest and every file that it lists from `address` and compare digests.

    `record_sha256` and `commit` are the record and the snapshot commit that `snapshot.json` has to name;
    `manifest_sha256`, where known, is the only manifest that will do. Raises DeployError when there is no manifest to
    go by, NetworkError when the host cannot be reached.
    """
    report = Verification(address)
    manifest = _manifest(address, report, manifest_sha256)
    if manifest is None:
        return report
    local = threading.local()

    def look(path: str) -> tuple[str, str]:
        if not hasattr(local, "web"):
            local.web = Web()
        return path, _look(local.web, address, path, manifest.files[path])

    with ThreadPoolExecutor(PARALLEL) as pool:
        for path, fault in pool.map(look, sorted(manifest.files)):
            if fault:
                getattr(report, fault).append(path)
    report.files = len(manifest.files)
    if not report.problems:
        _check_record(address, record_sha256, commit)
    return report


def require(report: Verification) -> Verification:
    """Return the report when nothing is wrong; DeployError that lists what is, by kind, otherwise."""
    if not report.problems:
        return report
    if report.private:
        raise DeployError(f"{report.address} is private: it asks for a login",
                          hint="Netlify → Access control → make branch deploys public, then run it again")
    listing = [f"missing: {path}" for path in report.missing] + [f"changed: {path}" for path in report.changed]
    raise DeployError(f"{report.address} does not serve what was rendered: {report.problems} of {report.files} files",
                      detail="\n".join(listing[:20]), hint="publisher verify --repair")


def _manifest(address: str, report: Verification, wanted: str) -> Manifest | None:
    """Fetch and check the manifest; None where the address is private."""
    answer = Web().request("GET", f"{address}/manifest.json", what="the manifest", limit=LARGEST)
    if _is_private(answer.status):
        report.private.append("manifest.json")
        return None
    if answer.status != 200:
        raise DeployError(f"{address}/manifest.json answered {answer.status}", hint="publisher verify --repair")
    report.manifest_sha256 = sha256_hex(answer.body)
    if wanted and report.manifest_sha256 != wanted:
        report.changed.append("manifest.json")
    try:
        manifest = msgspec.json.decode(answer.body, type=Manifest)
    except msgspec.MsgspecError as error:
        raise DeployError(f"{address}/manifest.json cannot be understood: {error}") from error
    if len(manifest.files) > MOST_FILES:
        raise DeployError(f"{address}/manifest.json lists {len(manifest.files)} files, more than {MOST_FILES}")
    return manifest


def _look(web: Web, address: str, path: str, entry: ManifestEntry) -> str:
    """Fetch one file; return what is wrong with it, or nothing."""
    url = f"{address}/{urllib.parse.quote(path, safe=_SAFE)}"
    answer = web.request("GET", url, what=path, limit=min(LARGEST, entry.size + (1 << 20)))
    if _is_private(answer.status):
        return "private"
    # 404.html is a page like any other here, but is served with its own status.
    expected = {200, 404} if path == "404.html" else {200}
    if answer.status not in expected:
        return "missing"
    return "" if len(answer.body) == entry.size and sha256_hex(answer.body) == entry.sha256 else "changed"


def _check_record(address: str, record_sha256: str, commit: str) -> None:
    """Refuse a site that is whole but shows another record or another snapshot commit."""
    body = Web().request("GET", f"{address}/snapshot.json", what="snapshot.json", limit=LARGEST).body
    try:
        shown = msgspec.json.decode(body, type=dict[str, object])
    except msgspec.MsgspecError:
        shown = {}
    if shown.get("record_sha256") != record_sha256 or (commit and shown.get("snapshot") != commit):
        raise DeployError(f"{address} shows another record than the snapshot's",
                          hint="did somebody push to the snapshot branch?")


def _is_private(status: int) -> bool:
    """Return whether a status means a login stands before the site."""
    return status in {401, 403} or 300 <= status < 400
