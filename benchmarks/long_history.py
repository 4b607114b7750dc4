"""A project whose ledger, snapshot branches and host hold as many published runs as wanted, made without publishing."""

from __future__ import annotations

import datetime as dt
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from publisher.files import canonical_json, compact_json, sha256_hex
from publisher.host.store.records import SCHEMA, Deploy, Entry, Manifest, new_id
from publisher.host.store.store import Store
from publisher.ledger import history, order
from publisher.ledger.store import README, README_TEXT
from publisher.publishing.pending import Pending
from publisher.samples import pack_samples
from publisher.schema import BuildRequest, LiveMove, Receipt, Record, SnapshotName

sys.path.insert(0, str(Path(__file__).parents[1]))

from tests.made import GitFolder, record, verdict

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

SITE = "demo"
ADDRESS = f"http://{{}}--{SITE}.localhost"
PERSON = "author p <p@x.invalid> 1700000000 +0000\ncommitter p <p@x.invalid> 1700000000 +0000\n"
CONFIG = """
[model]
name = "m"
source = "builtin:abacus"
context = 512
[suites.s]
source = "s.jsonl"
[tiers.full]
suites = ["s"]
publish = true
[gate]
rules = [{ rule = "threshold", min = 40.0 }, { rule = "max-drop", points = 20.0 }]
[netlify]
site = "demo"
builds_per_minute = 0
builds_per_day = 0
"""
BUILD = '[build]\ncommand = "bash build.sh"\npublish = "dist"\n'
BUILD_SCRIPT = """mkdir dist
digest=$(sha256sum ledger/record.json | cut -c1-64)
run=$(git log -1 --format='%(trailers:key=Run,valueonly)' | tr -d '\\n')
text='{"schema":1,"record_sha256":"%s","snapshot":"%s","run_id":"%s","branch":"%s","commit":"%s"}'
printf "$text" $digest $COMMIT_REF $run $BRANCH $(git rev-parse HEAD^) > dist/snapshot.json
set -- $(sha256sum dist/snapshot.json) $(stat -c %s dist/snapshot.json)
printf '{"schema":1,"files":{"snapshot.json":{"sha256":"%s","size":%s}}}' $1 $3 > dist/manifest.json
"""
"""The cheapest build that a publisher accepts: what is left is publishing."""


@dataclass
class Project:
    """The project: its repository, its remote, and the folder of its host."""

    folder: GitFolder
    origin: Path
    host: Path
    snapshots: list[str]
    """The names of the snapshot branches, oldest first."""

    def pending(self, number: int) -> str:
        """Commit something and leave a measured run of it in the pending folder, as `publisher bench` does."""
        commit = self.folder.commit({"number.txt": f"{number} {time.time_ns()}"})
        started = dt.datetime.now(dt.UTC).strftime("%Y%m%dT%H%M%SZ")
        pending = Pending(self.folder.path / ".git" / "publisher" / "runs")
        # Each commit measures something of its own: one that does not shares a snapshot, and nothing is published.
        run = msgspec.structs.replace(record(commit, started=started), fingerprint=sha256_hex(commit.encode()))
        pending.store(run, pack_samples([]))
        return commit


def make(path: Path, count: int) -> Project:
    """Make a project with `count` published runs in `path`."""
    folder = GitFolder.create(path / "work")
    files = {"publisher.toml": CONFIG, "netlify.toml": BUILD, "build.sh": BUILD_SCRIPT, "s.jsonl": "{}\n"}
    first = folder.commit(files)
    names = [f"snapshot-{first[:12]}-{number}" for number in range(2, count + 2)]
    commits = _import_snapshots(folder, first, names, path / "marks")
    deploys = [new_id() for _ in names]
    _import_ledger(folder, list(_runs(first, names, commits, deploys)))
    folder.git("update-ref", "refs/heads/live", commits[-1])
    folder.git("pack-refs", "--all")
    folder.git("clone", "--quiet", "--bare", ".", str(path / "origin.git"))
    # As the remote's own `receive.autogc` leaves it after so many pushes.
    folder.git("-C", str(path / "origin.git"), "commit-graph", "write", "--reachable", "--no-progress")
    folder.git("remote", "add", "origin", str(path / "origin.git"))
    folder.git("fetch", "--quiet", "origin", "+refs/heads/ledger:refs/publisher/origin/ledger")
    _fill_host(path / "host", names, commits, deploys)
    return Project(folder, path / "origin.git", path / "host", names)


def _import(folder: GitFolder, lines: Iterator[bytes], *options: str) -> None:
    command = ["git", "-C", str(folder.path), "fast-import", "--quiet", *options]
    subprocess.run(command, input=b"".join(lines), check=True, capture_output=True)


def _data(content: bytes) -> bytes:
    return b"data %d\n%s\n" % (len(content), content)


def _import_snapshots(folder: GitFolder, first: str, names: list[str], marks: Path) -> list[str]:
    """Make a branch with one commit for each name and return the commits."""

    def lines() -> Iterator[bytes]:
        for number, name in enumerate(names, 1):
            message = f"Snapshot\n\nRun: {_run_id(first, _moment(number - 1))}\n"
            yield f"commit refs/heads/{name}\nmark :{number}\n{PERSON}".encode() + _data(message.encode())
            yield f"from {first}\nM 100644 inline ledger/name\n".encode() + _data(name.encode())

    _import(folder, lines(), f"--export-marks={marks}")
    found = (line.split() for line in marks.read_text("utf-8").splitlines())
    return [sha for _, sha in sorted((int(mark[1:]), sha) for mark, sha in found)]


def _moment(number: int) -> dt.datetime:
    """Return when a run began."""
    return dt.datetime(2024, 1, 1, tzinfo=dt.UTC) + dt.timedelta(minutes=number)


def _run_id(commit: str, began: dt.datetime) -> str:
    return f"{began:%Y%m%dT%H%M%SZ}-{commit[:12]}-full"


def _runs(first: str, names: list[str], commits: list[str], deploys: list[str]) -> Iterator[dict[str, bytes]]:
    """Yield the ledger's files of each run: measured, decided, requested, deployed, live."""
    template = record(first)
    for number, (name, commit, deploy) in enumerate(zip(names, commits, deploys, strict=True)):
        when = _moment(number).strftime("%Y-%m-%dT%H:%M:%SZ")
        run_id = _run_id(first, _moment(number))
        run: Record = msgspec.structs.replace(
            template, run_id=run_id, started=when, finished=when, fingerprint=f"{number:064x}"
        )
        address = ADDRESS.format(name)
        receipt = Receipt(
            run_id=run_id,
            snapshot=name,
            commit=commit,
            deploy_id=deploy,
            permalink=ADDRESS.format(deploy),
            address=address,
            manifest_sha256="a" * 64,
            files=1,
            via="api",
            requested=when,
            ready=when,
            verified=when,
        )
        move = LiveMove(
            snapshot=name,
            commit=commit,
            run_id=run_id,
            deploy_id=deploy,
            previous="",
            who="p",
            why="newest kept run",
            time=when,
            via="api",
        )
        yield {
            **history.run_files(run, verdict(run), pack_samples([])),
            **history.snapshot_file(SnapshotName(run_id=run_id, branch=name, commit=commit, address=address)),
            **history.request_file(
                BuildRequest(run_id=run_id, branch=name, commit=commit, attempt=1, by="b", time=when)
            ),
            **history.receipt_file(receipt),
            **history.live_file(move, number + 1),
        }


def _import_ledger(folder: GitFolder, runs: list[Mapping[str, bytes]]) -> None:
    """Make the ledger: one commit a run."""

    def lines() -> Iterator[bytes]:
        for number, files in enumerate(runs):
            message = order.message("kept\n", [next(iter(files)).split("/")[1]])
            yield f"commit refs/heads/ledger\n{PERSON}".encode() + _data(message.encode())
            for path, content in (files if number else {README: README_TEXT, **files}).items():
                yield f"M 100644 inline {path}\n".encode() + _data(content)

    _import(folder, lines())


def _fill_host(path: Path, names: list[str], commits: list[str], deploys: list[str]) -> None:
    """Write the host's state as it is after all these deploys."""
    store = Store(path)
    store.load(SITE, "live", time.time())
    store.save_site(msgspec.structs.replace(store.site, published=deploys[-1]))
    entry: Entry = store.blobs.add(canonical_json({}))
    for folder in ("deploys", "manifests"):
        (path / folder).mkdir(exist_ok=True)
    for number, (name, commit, deploy) in enumerate(zip(names, commits, deploys, strict=True), 1):
        made = Deploy(
            schema=SCHEMA,
            id=deploy,
            number=number,
            state="ready",
            context="branch-deploy",
            branch=name,
            title=name,
            created_at=time.time(),
            updated_at=time.time(),
            source="hook",
            commit=commit,
        )
        manifest = Manifest(schema=SCHEMA, files={"snapshot.json": entry})
        # Without the store's fsyncs: this only sets the scene.
        (path / "deploys" / f"{deploy}.json").write_bytes(compact_json(made))
        (path / "manifests" / f"{deploy}.json").write_bytes(compact_json(manifest))
    store.close()
