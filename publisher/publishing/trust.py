"""Whose rules count: for a commit that is not on the trusted branch, those of that branch.

A commit says itself which model, prompt and engine it means. Were it also asked for the rules, it could give itself
any verdict: so suites, tiers, rules, ledger and site come from the trusted branch, whose tip is the *policy*.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import msgspec

from publisher.errors import UsageError

if TYPE_CHECKING:
    from publisher.config import Config
    from publisher.git import Repository


@dataclass(slots=True)
class TrustedBranch:
    """A branch whose commits may say by which rules they are decided on; its tip is asked for once."""

    repository: Repository
    remote: str | None
    name: str
    as_fetched: bool = False
    """Whether the remote is not asked: the branch is where it was when this clone last fetched."""
    _tip: str = field(default="", repr=False)
    _known: dict[str, bool] = field(default_factory=dict, repr=False)

    @property
    def tip(self) -> str:
        """The newest commit of the branch, on the remote where there is one; UsageError where there is none."""
        if not self._tip:
            # By its whole name: a tag that is called like the branch would come first.
            ref = f"refs/heads/{self.name.removeprefix('refs/heads/')}"
            self._tip = self._tip_on(self.remote, ref) if self.remote else self.repository.resolve(ref)
        return self._tip

    def has(self, commit: str) -> bool:
        """Return whether a commit is on the branch."""
        if commit not in self._known:
            # The tip stays as it was asked for once, and each question would start git.
            self._known[commit] = commit == self.tip or self.repository.is_ancestor(commit, self.tip)
        return self._known[commit]

    def _tip_on(self, remote: str, ref: str) -> str:
        if self.as_fetched:
            tip = self.repository.ref(f"refs/remotes/{remote}/{ref.removeprefix('refs/heads/')}")
        else:
            tip = self.repository.remote_refs(remote, ref).get(ref)
        if tip is None:
            raise UsageError(
                f"{remote} has no branch {self.name!r}, whose rules were to count",
                hint="git branch -r   lists them; --policy-ref or $PUBLISHER_POLICY_REF names the trusted one",
            )
        if not self.repository.has(tip):
            self.repository.fetch(remote, ref)
        return tip


def combined(own: Config, policy: Config) -> Config:
    """Return the rules of `policy` for the model that `own` describes."""
    return msgspec.structs.replace(policy, model=own.model, prompt=own.prompt, engine=own.engine)
