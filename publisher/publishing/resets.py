"""Where a baseline starts anew on purpose: at a commit that says `Baseline: reset`, or where `[gate] baseline` says.

The policy is the trusted branch's, and so is the word of its commits: a commit that is not on it resets nothing.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from publisher.config import FILE
from publisher.errors import ConfigError, UsageError
from publisher.gate.baseline import Reset
from publisher.git.ancestry import containing, newest_with_trailer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from publisher.config import Config
    from publisher.git import Repository
    from publisher.publishing.project import Project
    from publisher.schema import HistoryLine

KEY, VALUE = "Baseline", "reset"
_HASH = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?\Z")
_FOUND: WeakKeyDictionary[Repository, dict[str, str]] = WeakKeyDictionary()
"""The newest reset in the history of a commit, which never changes: the gate asks several times for each verdict."""


def reset_of(project: Project, commit: str, config: Config, lines: Sequence[HistoryLine]) -> Reset | None:
    """Return where the baseline of a commit starts anew, or None where every kept run may count.

    `lines` are the runs in the ledger, oldest first. Raises ConfigError where `[gate] baseline` names nothing.
    """
    if config.gate.baseline:
        return _declared(project, config.gate.baseline, lines)
    known = _FOUND.setdefault(project.repository, {})
    if commit not in known:
        known[commit] = newest_with_trailer(project.repository, commit, KEY, VALUE)
    root = known[commit]
    if not root:
        return None
    if project.trusted is not None and not project.trusted.has(root):
        why = f"{KEY}: {VALUE} of {root[:12]} does not count, because it is not on {project.trusted.name}"
        return Reset(why)
    why = f"the baseline starts anew at {root[:12]} ({KEY}: {VALUE})"
    return Reset(why, _before(project, root, lines), root)


def _declared(project: Project, start: str, lines: Sequence[HistoryLine]) -> Reset:
    """Return the reset of `[gate] baseline`, which names a run or a commit."""
    why = f"the baseline starts at {start} ([gate] baseline)"
    ids = [line.run_id for line in lines]
    if start in ids:
        return Reset(why, frozenset(ids[: ids.index(start)]))
    try:
        root = project.repository.resolve(start)
    except UsageError as error:
        raise ConfigError(
            f"gate.baseline: {start!r} is neither a run in the ledger nor a commit of this clone",
            hint=f"publisher log   lists the runs; correct {FILE} and commit it",
        ) from error
    return Reset(why, _before(project, root, lines))


def _before(project: Project, root: str, lines: Sequence[HistoryLine]) -> frozenset[str]:
    """Return the runs whose commits do not hold `root`."""
    there = containing(project.repository, root, {line.commit for line in lines if _HASH.match(line.commit)})
    return frozenset(line.run_id for line in lines if line.commit not in there)
