"""`[ledger]` and `[netlify]`: where results are kept and published."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from publisher.config.section import Section


class LedgerConfig(Section, frozen=True, kw_only=True):
    """Where results are kept."""

    remote: Annotated[str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$")] = "origin"
    clip: Annotated[int, Meta(ge=0, le=1_000_000, description="characters of each answer that are stored")] = 20_000


class KeepConfig(Section, frozen=True, kw_only=True):
    """Which snapshots `publisher prune` leaves alone; the live one always is."""

    last: Annotated[int, Meta(ge=1)] = 50
    best_per_suite: Annotated[int, Meta(ge=0)] = 1
    pinned: bool = True
    labels: list[str] = msgspec.field(default_factory=list)
    """Patterns of git tags: a snapshot whose commit has such a tag is kept."""


class NetlifyConfig(Section, frozen=True, kw_only=True):
    """The site that is published to; secrets come from the environment only."""

    site: Annotated[str, Meta(pattern=r"^([a-z0-9](-?[a-z0-9])*)?$", max_length=37, description="a-z 0-9 -")] = ""
    timeout: Annotated[float, Meta(gt=0, description="seconds to wait for a deploy")] = 1500.0
    lock: bool = False
    keep: KeepConfig = KeepConfig()
    builds_per_minute: Annotated[int, Meta(ge=0, description="0 (no limit) or more")] = 3
    builds_per_day: Annotated[int, Meta(ge=0, description="0 (no limit) or more")] = 100
    builds_per_month: Annotated[int, Meta(ge=0, description="0 (no limit) or more")] = 300
    """Builds in 31 days: as many as an older plan's 300 build minutes pay for, at a minute each."""
    production_per_month: Annotated[int, Meta(ge=0, description="0 (no limit) or more")] = 15
    """Production deploys in 31 days, which only a site without NETLIFY_AUTH_TOKEN needs.

    Of the 20 that the Free plan's 300 credits pay for, 5 are in reserve: what readers download costs credits, too.
    """
