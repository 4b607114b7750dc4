"""Pins: memorable addresses of snapshots, which move only when somebody says so."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from publisher import verify
from publisher.errors import LostRaceError, UsageError
from publisher.ledger import calls, history, snapshots
from publisher.netlify import deploys
from publisher.publishing.deliver import Desk, build, check_settings
from publisher.publishing.find import find_snapshot
from publisher.publishing.project import now
from publisher.schema import Pin

if TYPE_CHECKING:
    from collections.abc import Callable

    from publisher.publishing.project import Project

    Note = Callable[[str], None]

LONGEST_NAME, LONGEST_LABEL = 37, 63
"""Characters that Netlify takes of a branch in an address (`netlify deploy --help`), and DNS of a whole label."""
_NAME = re.compile(r"[a-z0-9](?:-?[a-z0-9])*\Z")
_RESERVED = re.compile(r"(?:snapshot|deploy-preview|agent)-.*|live|ledger|main|master|head|[0-9a-f]{24}")


def check_name(name: str, site: str) -> None:
    """Refuse a pin's name that could not be an address, or that means something else; UsageError says which."""
    label = f"{name}--{site}"
    if not _NAME.match(name) or len(name) > LONGEST_NAME or len(label) > LONGEST_LABEL:
        longest = min(LONGEST_NAME, LONGEST_LABEL - 2 - len(site))
        raise UsageError(
            f"{name!r} cannot be an address: at most {longest} of a-z, 0-9 and single hyphens inside",
            hint="publisher pin SNAPSHOT math-v3",
        )
    if _RESERVED.fullmatch(name):
        raise UsageError(f"{name!r} means something else in an address", hint="choose another name")


def pin(project: Project, wanted: str, name: str, *, move: bool, note: Note) -> Pin:
    """Give a snapshot a memorable branch address and return the pin; one that exists is moved only with `move`."""
    project.ledger.sync()
    run = find_snapshot(project, wanted)
    netlify, config = project.client_of(run)
    check_name(name, netlify.settings.site)
    check_settings(netlify)
    known = history.pins(project.ledger).get(name)
    if known is not None and known.run_id == run.run_id:
        note(f"{name} is pinned to {known.snapshot} already")
    elif known is not None and not move:
        raise UsageError(
            f"{name} is pinned to {known.snapshot}, and a pin does not move by itself",
            hint=f"publisher pin {wanted} {name} --move",
        )
    snapshot = snapshots.ensure_snapshot(
        project.ledger, run.run_id, site=netlify.settings.main_address(), address=netlify.settings.address_of
    )
    _push_pin(project, name, snapshot.commit, known.commit if known else None)
    address = netlify.settings.address_of(name)
    wish = deploys.WantedDeploy(name, snapshot.commit, run.run_id, f"pin {name} {run.run_id}", config.netlify.timeout)
    number = known.number + 1 if known and known.run_id != run.run_id else known.number if known else 1
    desk = Desk(project, netlify, config.netlify, note)
    build(desk, wish, desk.turns(calls.pin_folder(name, number)))
    verify.require(verify.verify(address, record_sha256=snapshot.record_sha256, commit=snapshot.commit))
    if known is not None and known.run_id == run.run_id:
        return known
    made = Pin(
        name=name,
        number=known.number + 1 if known else 1,
        snapshot=snapshot.branch,
        run_id=run.run_id,
        commit=snapshot.commit,
        address=address,
        who=project.who,
        time=now(),
    )
    project.ledger.append(history.pin_file(made), f"Pin {name} to {snapshot.branch}\n")
    return made


def _push_pin(project: Project, name: str, commit: str, before: str | None) -> None:
    """Point the pin's branch at a snapshot, from exactly where the pin says it is; UsageError where it is not ours."""
    ref = f"refs/heads/{name}"
    repository, remote = project.repository, project.ledger.remote
    there = repository.remote_refs(remote, ref).get(ref) if remote else repository.ref(ref)
    if there == commit:
        return
    if there != before:
        raise UsageError(f"there is a branch {name!r} already that is no pin", hint="choose another name")
    try:
        if remote:
            repository.push(remote, {ref: (commit, before)})
        else:
            repository.move_refs({ref: (commit, before)})
    except LostRaceError as error:
        raise UsageError(f"somebody else is pinning {name!r}", hint="publisher pin   lists the pins") from error
