"""The branch that a gray release builds: the candidate's own.

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
    from collections.abc import Callable

    from publisher.ledger.canaries import Canary
    from publisher.netlify.client import Settings
    from publisher.publishing.project import Project
    from publisher.publishing.turns import Turns
    from publisher.schema import SplitPage

FILE = "ledger/canary.json"
ATTEMPTS = 12


def build_candidate(desk: Desk, canary: Canary) -> None:
    """Push, build and verify the candidate's pages; each part only where it is not there yet."""
    start = canary.start
    branch = canaries.branch_of(start.snapshot)
    page = CanaryPage(number=start.number, other=other(desk.netlify.settings, canary), script=start.via == "script")
    commit = commit_beside(desk.project, start.commit, FILE, page, "")
    tip = _push(desk.project, f"refs/heads/{branch}", commit)
    title = f"canary {start.number} {start.snapshot}"
    wanted = deploys.WantedDeploy(branch, tip, start.run_id, title, desk.limits.timeout)
    build_whole(desk, wanted, desk.turns(calls.canary_folder(start.number, "candidate")), commit)


def lead_back(desk: Desk, canary: Canary) -> str:
    """Make every page of a candidate lead to what is live, for readers who still have one open; return the deploy.

    Raises LostRaceError where another canary needs the branch meanwhile.
    """
    start, project = canary.start, desk.project
    branch, ref = canaries.branch_of(start.snapshot), f"refs/heads/{canaries.branch_of(start.snapshot)}"
    page = CanaryPage(number=start.number, other=desk.netlify.settings.main_address(), over=True)
    commit = commit_beside(project, start.commit, FILE, page, "")

    def require() -> None:
        project.ledger.sync()
        last = canaries.last(project.ledger)
        if last is None or last.start != start:
            raise LostRaceError("another canary began meanwhile", hint="publisher canary status")

    tip = _push(project, ref, commit, require)
    title = f"canary {start.number} is over"
    wanted = deploys.WantedDeploy(branch, tip, start.run_id, title, desk.limits.timeout, shown=commit, require=require)
    return build_whole(desk, wanted, hasty(desk, calls.canary_folder(start.number, "over")), commit)


def hasty(desk: Desk, folder: str) -> Turns:
    """Return the turns of a deploy that brings readers back.

    Without a token a call that may have been made is otherwise believed for as long as a build may take. One deploy too
    many costs less than readers who wait.
    """
    turns = desk.turns(folder)
    turns.timeout = min(turns.timeout, turns.patience.doubt)
    return turns


def other(settings: Settings, canary: Canary) -> str:
    """Return where a reader of the candidate finds what is live, without a final slash.

    At the main address only where that does not lead back: a split test keeps a reader to one side.
    """
    return settings.address_of(canary.start.live_snapshot) if canary.start.via == "split" else settings.main_address()


def build_whole(desk: Desk, wanted: deploys.WantedDeploy, turns: Turns, commit: str) -> str:
    """Bring about a deploy that serves what was rendered from a commit, and return its id.

    One that is damaged is built again.
    """
    record = sha256_hex(desk.project.ledger.read(f"{history.folder(wanted.run_id)}/record.json") or b"")
    address = wanted.address or desk.netlify.settings.address_of(wanted.branch)
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
            return deployed.deploy_id
    raise AssertionError  # the last try returns or raises


def commit_beside(project: Project, snapshot: str, file: str, page: CanaryPage | SplitPage, what: str) -> str:
    """Return the commit with a snapshot's tree and one more file: the same for everybody who makes it."""
    repository = project.repository
    repository.fetch_commit(project.ledger.remote, snapshot)
    shown = repository.commit(snapshot)
    known = snapshots.trailers(shown.message)
    links = "".join(f"{name}: {known[name]}\n" for name in ("Benchmarked-commit", "Run") if name in known)
    return repository.write_commit(
        {file: canonical_json(page)},
        message=f"Canary {page.number}{what}: {shown.subject}\n\n{links}Snapshot-commit: {snapshot}\n",
        author=author(shown.time),
        parents=[snapshot],
        tree=snapshot,
    )


def _push(project: Project, ref: str, commit: str, require: Callable[[], None] | None = None) -> str:
    """Point the candidate's branch at its commit and return where it is; UsageError where it is somebody else's.

    A remote that accepts fast-forwards only has a commit on top of the former one that shows the same tree. `require`
    is asked between looking and pushing: it raises an error where that must not be pushed any more.
    """
    ledger, repository = project.ledger, project.repository
    for _ in range(ATTEMPTS):
        there = repository.remote_refs(ledger.remote, ref).get(ref) if ledger.remote else repository.ref(ref)
        if require is not None:
            require()
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
