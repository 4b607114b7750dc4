"""The branches that a gray release builds: the candidate's own, and `live` where its script has to split readers.

A snapshot's pages never change, so what a reader sees of a canary is another deploy: the snapshot's tree and one file,
`ledger/canary.json`, from which the banner, the form and the script are rendered.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from publisher import verify
from publisher.errors import DeployError, LostRaceError, UsageError
from publisher.files import canonical_json, sha256_hex
from publisher.ledger import calls, canaries, history, snapshots
from publisher.ledger.store import author
from publisher.netlify import deploys
from publisher.publishing.deliver import BUILDS, Desk, build
from publisher.schema import CanaryPage

if TYPE_CHECKING:
    from publisher.ledger.canaries import Canary
    from publisher.publishing.project import Project

FILE = "ledger/canary.json"
ATTEMPTS = 12


def build_candidate(desk: Desk, canary: Canary) -> None:
    """Push, build and verify the candidate's pages; each part only where it is not there yet."""
    start = canary.start
    branch = canaries.branch_of(start.snapshot)
    page = CanaryPage(number=start.number, other=desk.netlify.settings.main_address())
    commit = _commit(desk.project, start.commit, page)
    tip = _push(desk.project, f"refs/heads/{branch}", commit)
    title = f"canary {start.number} {start.snapshot}"
    wanted = deploys.WantedDeploy(branch, tip, start.run_id, title, desk.limits.timeout)
    turns = desk.turns(calls.canary_folder(start.number, "candidate"))
    record = sha256_hex(desk.project.ledger.read(f"{history.folder(start.run_id)}/record.json") or b"")
    address = desk.netlify.settings.address_of(branch)
    for left in reversed(range(BUILDS)):
        deployed = build(desk, wanted, turns)
        private: list[str] = []
        try:
            found = verify.verify(address, record_sha256=record, commit=commit)
            private = found.private
            verify.require(found)
        except DeployError as error:
            # A login is mended by no build; and without an id, a new deploy could not be told from the damaged one.
            if private or not (left and deployed.deploy_id):
                raise
            desk.note(f"deploy {deployed.deploy_id} is damaged and is built again: {error.message}")
            wanted = replace(wanted, damaged=wanted.damaged | {deployed.deploy_id})
        else:
            return


def _commit(project: Project, snapshot: str, page: CanaryPage) -> str:
    """Return the commit with a snapshot's tree and the canary's file: the same for everybody who makes it."""
    repository = project.repository
    repository.fetch_commit(project.ledger.remote, snapshot)
    shown = repository.commit(snapshot)
    known = snapshots.trailers(shown.message)
    links = "".join(f"{name}: {known[name]}\n" for name in ("Benchmarked-commit", "Run") if name in known)
    return repository.write_commit(
        {FILE: canonical_json(page)},
        message=f"Canary {page.number}: {shown.subject}\n\n{links}Snapshot-commit: {snapshot}\n",
        author=author(shown.time),
        parents=[snapshot],
        tree=snapshot,
    )


def _push(project: Project, ref: str, commit: str) -> str:
    """Point the candidate's branch at its commit and return where it is; UsageError where it is somebody else's.

    A remote that accepts fast-forwards only has a commit on top of the former one that shows the same tree.
    """
    ledger, repository = project.ledger, project.repository
    for _ in range(ATTEMPTS):
        there = repository.remote_refs(ledger.remote, ref).get(ref) if ledger.remote else repository.ref(ref)
        if there == commit:
            return commit
        if there is not None:
            repository.fetch_commit(ledger.remote, there)
            if snapshots.shown_by(repository, there) == commit:
                return there
            if "Snapshot-commit" not in snapshots.trailers(repository.commit(there).message):
                name = ref.removeprefix("refs/heads/")
                raise UsageError(
                    f"there is a branch {name} already that publisher did not make", hint=f"git push origin :{name}"
                )
        try:
            if ledger.remote:
                return snapshots.push_over(ledger, ref, commit, there)
            repository.move_refs({ref: (commit, there)})
        except LostRaceError:
            continue
        return commit
    raise LostRaceError("other publishers keep moving the candidate's branch", hint="run the same command again")
