"""The end of a gray release: written down once, then every reader is brought back and its own pages are deleted.

`live` and `takedown` use this too, so nothing here moves the live site to another snapshot.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from publisher.errors import NetworkError, RemoteRejectedError
from publisher.ledger import canaries, history, snapshots
from publisher.netlify import splits
from publisher.publishing import candidate, removal, script
from publisher.schema import CanaryEnd

if TYPE_CHECKING:
    from collections.abc import Callable

    from publisher.git import Repository
    from publisher.ledger.canaries import Canary
    from publisher.ledger.history import Run
    from publisher.netlify.client import Netlify
    from publisher.publishing.project import Project
    from publisher.schema import CanaryEvidence

    Note = Callable[[str], None]


def enter(project: Project, entry: CanaryEnd) -> bool:
    """Write the end of a gray release down, unless it has ended, or the live site was moved since `entry` was made.

    Return whether it has ended now, by whichever end was first.
    """

    def stays() -> bool:
        return is_over(project, entry.number) or len(history.live_moves(project.ledger)) != entry.moves

    project.ledger.append(canaries.canary_file(entry), f"Canary {entry.number} {entry.outcome}\n", unless=stays)
    return is_over(project, entry.number)


def is_over(project: Project, number: int) -> bool:
    """Return whether the gray release of this number is not the one that is running."""
    now = canaries.running(project.ledger)
    return now is None or now.start.number != number


def end_overtaken(project: Project, netlify: Netlify, note: Note) -> bool:
    """End the gray release that is running if the live site was moved since it began; return whether it was so.

    One that has ended, but whose publisher died before the readers were brought back, is closed as well.
    """
    canary = canaries.last(project.ledger)
    if canary is None:
        return False
    if canary.end is not None:
        if canary.end.outcome != "promoted":
            close(project, netlify, canary, note)
        return False
    while (moves := history.live_moves(project.ledger)) and len(moves) != canary.start.moves:
        entry = CanaryEnd(
            number=canary.start.number,
            outcome="overtaken",
            who=project.who,
            why=f"the live site was moved to {moves[-1].snapshot}",
            time=project.moment(netlify),
            moves=len(moves),
        )
        if enter(project, entry):
            note(f"canary {entry.number} of {canary.start.snapshot} is over: {entry.why}")
            close(project, netlify, canary, note)
            return True
    return False


def end_lost(project: Project, netlify: Netlify, canary: Canary, note: Note) -> bool:
    """Abort a gray release whose candidate cannot be shown any more; return whether it was so."""
    why = lost(project.run(canary.start.run_id))
    while why and not is_over(project, canary.start.number):
        entry = CanaryEnd(
            number=canary.start.number,
            outcome="aborted",
            who=project.who,
            why=why,
            time=project.moment(netlify),
            moves=len(history.live_moves(project.ledger)),
        )
        if enter(project, entry):
            note(f"canary {entry.number} of {canary.start.snapshot} is over: {why}")
    return bool(why)


def lost(run: Run | None) -> str:
    """Return why a candidate cannot be shown any more; empty where it can."""
    if run is None:
        return "the ledger has its run no more"
    if run.taken_down is not None:
        return "its snapshot was taken down"
    if run.given_up is not None:
        return "its run was given up"
    if run.line.verdict != "kept":
        return f"its run is {run.line.verdict} now"
    return "" if run.receipt is not None else "its snapshot is not deployed any more"


def close(project: Project, netlify: Netlify, canary: Canary, note: Note) -> None:
    """Bring every reader back to what is live, then delete the pages that only the gray release had."""
    start, kept = canary.start, ""
    if start.via == "script":
        if is_cleared(project, canary) and script.is_plain(project, netlify, canary):
            return
        script.bring_back(project, netlify, canary, note)
        kept = _led_back(project, netlify, canary, note)
    elif netlify.settings.token and splits.end(netlify, canaries.branch_of(start.snapshot)):
        note(f"canary {start.number} of {start.snapshot}: every reader sees what is live")
    clear(project, netlify, start.snapshot, start.commit, note, kept=kept)


def _led_back(project: Project, netlify: Netlify, canary: Canary, note: Note) -> str:
    """Make a candidate's own pages lead to what is live, and return that deploy; nothing where the branch is not ours.

    With a split test readers come back by themselves; a script has moved them to another address. A later canary has
    the branch for itself.
    """
    last = canaries.last(project.ledger)
    if last is None or last.start != canary.start:
        return ""
    tip = _tip(project, canaries.branch_of(canary.start.snapshot))
    if tip is not None:
        project.repository.fetch_commit(project.ledger.remote, tip)
        if not is_ours(project.repository, tip, canary.start.commit):
            return ""
    return candidate.lead_back(script.desk_of(project, netlify, canary, note), canary)


def is_cleared(project: Project, canary: Canary) -> bool:
    """Return whether a gray release has left no branch behind."""
    return _tip(project, canaries.branch_of(canary.start.snapshot)) is None


def clear(project: Project, netlify: Netlify, snapshot: str, commit: str, note: Note, *, kept: str = "") -> None:
    """Delete the candidate's own deploys and last its branch, by which a half-finished deletion is seen.

    The deploy `kept`, which shows nothing, stays to lead its readers back. Somebody else's branch of that name stays,
    and so does that of a gray release that is running.
    """
    name = canaries.branch_of(snapshot)
    tip = _tip(project, name)
    if tip is None:
        return
    project.repository.fetch_commit(project.ledger.remote, tip)
    if not is_ours(project.repository, tip, commit):
        return
    found = netlify.deploys(branch=name) if netlify.settings.token else []
    # Asked after the deploys were listed: what a new gray release builds is not among them then.
    project.ledger.sync()
    now = canaries.running(project.ledger)
    if now is not None and now.start.snapshot == snapshot:
        return
    for deploy in found:
        if deploy.branch == name and deploy.id != kept:
            removal.remove(netlify, deploy)
    if not (netlify.settings.token or kept):
        note(f"its pages stay at {netlify.settings.address_of(name)}: deleting deploys needs NETLIFY_AUTH_TOKEN")
    _delete(project, name, tip, note)


def is_ours(repository: Repository, tip: str, snapshot: str) -> bool:
    """Return whether a branch's tip was made to show a snapshot commit as a candidate."""
    shown = repository.commit(snapshots.shown_by(repository, tip))
    known = snapshots.trailers(shown.message)
    return known.get("Snapshot-commit") == snapshot and shown.parents == (snapshot,)


def keep_scene(project: Project, canary: Canary, evidence: CanaryEvidence) -> None:
    """Write down what was heard of a gray release that ended without waiting for it."""
    if canary.end is not None and canary.end.evidence is None:
        scene = msgspec.structs.replace(canary.end, evidence=evidence)
        project.ledger.append(canaries.scene_file(scene), f"Scene of canary {scene.number}\n")


def _tip(project: Project, branch: str) -> str | None:
    ref, ledger = f"refs/heads/{branch}", project.ledger
    if ledger.remote:
        return project.repository.remote_refs(ledger.remote, ref).get(ref)
    return project.repository.ref(ref)


def _delete(project: Project, branch: str, tip: str, note: Note) -> None:
    ref, ledger = f"refs/heads/{branch}", project.ledger
    try:
        if ledger.remote:
            project.repository.delete_remote(ledger.remote, ref, tip)
        else:
            project.repository.delete_ref(ref, tip)
    except RemoteRejectedError as error:
        note(f"the branch {branch} stays, without a page: {error.message} ({error.hint})")


def unreached(canary: Canary, error: NetworkError) -> NetworkError:
    """Return the error for an end that is written down, but that the host has not heard of."""
    said = canary.end.outcome if canary.end else "changed"
    return NetworkError(
        f"canary {canary.start.number} is {said} in the ledger, but some readers may still see the candidate: "
        f"{error.message}",
        status=error.status,
        hint="publisher canary step   brings the host to what the ledger says",
    )
