"""A run's pages on this machine, published or not: its snapshot's tree in a temporary folder, rendered into memory."""

from __future__ import annotations

import contextlib
import tempfile
import threading
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from publisher import shards
from publisher.bench.so_far import UNFINISHED
from publisher.errors import PublisherError, UsageError
from publisher.files import canonical_json, sha256_hex
from publisher.ledger import history, outlines, snapshots
from publisher.ledger.lessons import lessons
from publisher.netlify.client import Settings
from publisher.publishing import pipeline
from publisher.publishing.compare import lines_before, report_of
from publisher.publishing.find import find_measured
from publisher.publishing.project import now
from publisher.render import Source, build
from publisher.samples import FILE as SAMPLES
from publisher.schema import History, Verdict
from publisher.web.local import Served, content_type

if TYPE_CHECKING:
    from collections.abc import Mapping

    from publisher.publishing.find import Found
    from publisher.publishing.project import Project

LARGEST_SITE_FILE = 16 << 20
"""Bytes of one file of a commit's own `site/`."""
STATE, SCRIPT = "__view/state", "__view/reload.js"
"""Paths of this server's own, which no site has."""
RELOAD = b"""(function () {
  "use strict";
  var known = null;
  setInterval(function () {
    fetch("/__view/state").then(function (answer) { return answer.text(); }).then(function (state) {
      if (known !== null && state !== known) { location.reload(); }
      known = state;
    }).catch(function () { /* the server was stopped */ });
  }, 2000);
})();
"""


class View:
    """The pages of whatever run a word stands for, rendered anew when another run is it, or its verdict changes."""

    def __init__(self, project: Project, wanted: str, tier: str = "") -> None:
        """Render the pages; raises UsageError where there is no such run."""
        self.project, self.wanted, self.tier = project, wanted, tier
        self._lock = threading.Lock()
        self._seen = self._state()
        self._files = self._rendered()

    def answer(self, path: str) -> Served:
        """Return what a path of the site answers with, with the headers that the host would send."""
        if path == SCRIPT:
            return Served(HTTPStatus.OK, content_type(path), RELOAD)
        if path == STATE:
            return Served(HTTPStatus.OK, "text/plain; charset=utf-8", self._update().encode())
        files = self._files
        name = f"{path}index.html" if not path or path.endswith("/") else path
        if name not in files and f"{path}/index.html" in files:
            return Served(HTTPStatus.MOVED_PERMANENTLY, "text/plain", b"", (("Location", f"/{path}/"),))
        status = HTTPStatus.OK if name in files else HTTPStatus.NOT_FOUND
        body = files.get(name, files["404.html"])
        kind = content_type(name if name in files else "404.html")
        return Served(status, kind, _with_script(body) if kind.startswith("text/html") else body)

    def _update(self) -> str:
        """Render again where the ledger or the pending runs changed; return what the pages show."""
        with self._lock:
            state = self._state()
            # A run that has just gone, or cannot be read at this moment, leaves the pages as they are.
            with contextlib.suppress(PublisherError):
                if state != self._seen:
                    self._files, self._seen = self._rendered(), state
            return sha256_hex(self._files["index.html"])

    def _state(self) -> str:
        """Return what changes whenever a run has another sample, is measured, decided on or published."""
        pending = sorted(path.name for path in self.project.pending.folder.glob("*.run"))
        return " ".join([self.project.ledger.head or "", *pending, self.project.running.state()])

    def _rendered(self) -> Mapping[str, bytes]:
        found = find_measured(self.project, self.wanted, self.tier, unfinished=True)
        with tempfile.TemporaryDirectory(prefix="publisher-view-") as folder:
            return build(write_tree(self.project, found, Path(folder)))


def _with_script(page: bytes) -> bytes:
    return page.replace(b"</head>", f'<script defer src="/{SCRIPT}"></script>\n</head>'.encode(), 1)


def write_tree(project: Project, found: Found, folder: Path) -> Source:
    """Write what a snapshot of a run has, or would have, into a folder, and return what to render."""
    record = found.record
    verdict = _verdict(project, found)
    branch = (found.run.line.snapshot if found.run else "") or snapshots.branch_name(record.commit.sha)
    config, _ = project.config(record.commit.sha)
    settings = Settings.of(config.netlify.site or "not-published", {})
    own = found.run.line if found.run else history.summarize(record, verdict)
    own = msgspec.structs.replace(own, snapshot=branch, address=own.address or settings.address_of(branch))
    before, report = lines_before(project, record.run_id), report_of(project, record, verdict)
    lines = [*before, history.with_moved(own, report)]
    head = project.ledger.head
    taught = lessons(project.repository, head, before, record, verdict.headline) if head else {}
    files = {
        "record.json": canonical_json(record),
        "verdict.json": canonical_json(verdict),
        history.REPORT: canonical_json(report),
        **shards.split(History(site=settings.main_address(), headline=verdict.headline, lines=lines)),
        SAMPLES: project.packed_samples(record.run_id),
    }
    files |= outlines.packed(
        record, lines, verdict.headline, lambda line: project.records([line.run_id]).get(line.run_id)
    )
    for base in filter(None, (report.previous, report.best)):
        files[f"{snapshots.COMPARED}/{base.base.run_id}/{SAMPLES}"] = project.packed_samples(base.base.run_id)
    files |= {f"{snapshots.LESSONS}/{name}.json": data for name, data in taught.items()}
    files = {f"{snapshots.FOLDER}/{name}": data for name, data in files.items()}
    for name, data in {**files, **_own_site(project, record.commit.sha)}.items():
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data)
    return Source(tree=folder, address=settings.main_address(), branch=branch, commit=record.commit.sha)


def _verdict(project: Project, found: Found) -> Verdict:
    """Return a run's verdict; what is not a whole run has none, and its page says why."""
    record, early = found.record, found.record.stopped_early
    if project.smoke.holds(record.run_id):
        says = "a smoke run of some problems or of uncommitted files: it is never recorded"
    elif early is not None and early.why == UNFINISHED:
        says = f"still being measured: {early.samples} of {early.planned} samples so far, and no verdict yet"
    else:
        return pipeline.verdict_of(project, record)
    return Verdict(
        run_id=record.run_id,
        verdict="inconclusive",
        rules=[],
        headline=project.config(record.commit.sha)[0].headline,
        policy_sha256="",
        decided=now(),
        baseline=says,
    )


def _own_site(project: Project, commit: str) -> dict[str, bytes]:
    """Return the files of a commit's own `site/`, which override or extend ours."""
    paths = [path for path in project.repository.below(commit, "site") if ".." not in path.split("/")]
    found = project.repository.read_many([f"{commit}:{path}" for path in paths], limit=LARGEST_SITE_FILE)
    return {path: data for path, data in zip(paths, found, strict=True) if data is not None}


def require_port(port: int, error: OSError) -> UsageError:
    """Return the error for a port that cannot be had."""
    return UsageError(f"port {port} of 127.0.0.1: {error.strerror or error}", hint="--port 0   takes any free one")
