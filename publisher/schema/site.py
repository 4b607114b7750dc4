"""The files that a rendered site carries about itself: its manifest, what it shows, and which deploy it is in.

The step that renders writes them, and the step that verifies reads them back over HTTP.
"""

from __future__ import annotations

import msgspec

from publisher.schema.record import Record  # noqa: TC001 - msgspec reads annotations while running
from publisher.schema.stored import Struct
from publisher.schema.verdict import Verdict  # noqa: TC001 - as above

MANIFEST_SCHEMA = 1
SITE_SNAPSHOT_SCHEMA = 1
SITE_DEPLOY_SCHEMA = 1


class ManifestEntry(Struct, frozen=True, kw_only=True):
    """One file of a deploy: its SHA-256 and its size in bytes."""

    sha256: str
    size: int


class Manifest(Struct, frozen=True, kw_only=True):
    """`manifest.json`: every file of a deploy except the manifest itself and `deploy.json`."""

    schema: int = MANIFEST_SCHEMA
    files: dict[str, ManifestEntry]
    """The files that can be fetched, by path."""
    config: dict[str, ManifestEntry] = msgspec.field(default_factory=dict)
    """The files that configure the host (`_headers`, `_redirects`) and cannot be fetched."""
    headers: dict[str, dict[str, str]] = msgspec.field(default_factory=dict)
    """The headers that files must be served with, by path pattern."""


class SnapshotIdentity(Struct, frozen=True, kw_only=True):
    """What a reader of `snapshot.json` needs to know which snapshot an address shows."""

    schema: int = SITE_SNAPSHOT_SCHEMA
    run_id: str
    branch: str
    snapshot: str
    """The snapshot commit S."""
    commit: str
    """The benchmarked commit C."""
    record_sha256: str
    """Digest of `record.json` as the ledger stores it."""


class SiteSnapshot(SnapshotIdentity, frozen=True, kw_only=True):
    """`snapshot.json`: the identity of the snapshot, its record and verdict in full, and its addresses."""

    record: Record
    verdict: Verdict
    links: dict[str, str]


class SiteDeploy(Struct, frozen=True, kw_only=True):
    """`deploy.json`: the one file that differs between two deploys of a snapshot, hence not in the manifest."""

    schema: int = SITE_DEPLOY_SCHEMA
    deploy_id: str
    permalink: str
    address: str
    """The snapshot's branch address: what people pin."""
    site: str
    """The site's main address."""
