"""`[ledger]`, `[netlify]` and `[site]`: where results are kept and published, and in which language."""

from __future__ import annotations

import re
import time
import warnings
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from publisher.config.section import Section, short

MOST_PATTERNS = 20
"""Patterns of `[ledger] redact`."""
LONGEST_COMPILING = 1.0
"""Seconds of processor time that compiling all of them may take: every command that reads the commit compiles them."""

SITE_NAME = r"[a-z0-9](-?[a-z0-9])*"
"""The form of a Netlify site's name, of at most 37 characters."""


Pattern = Annotated[
    str, Meta(pattern=r"^[A-Za-z0-9*?._/-]{1,100}$", description="a branch's name, in which * stands for anything")
]


class LedgerConfig(Section, frozen=True, kw_only=True):
    """Where results are kept."""

    clip: Annotated[int, Meta(ge=0, le=1_000_000, description="characters of each answer that are stored")] = 20_000
    """Longer answers are cut off when they are stored; grading always sees the whole."""
    redact: list[Annotated[str, Meta(min_length=1, max_length=200, description="a regular expression")]] = (
        msgspec.field(default_factory=list)
    )
    """What these patterns match in a text or an answer is replaced before anything is written; at most 20."""
    signers: Annotated[
        str, Meta(pattern=r"^([A-Za-z0-9._-]+(/[A-Za-z0-9._-]+)*)?$", max_length=200, description="a path")
    ] = ""
    """The file of the trusted branch with the keys that may sign, as ssh-keygen's ALLOWED SIGNERS has them."""


def ledger_mistakes(section: LedgerConfig) -> list[str]:
    """Return what is wrong with the patterns of `redact`."""
    mistakes = []
    if len(section.redact) > MOST_PATTERNS:
        mistakes.append(f"ledger.redact: {len(section.redact)} patterns, at most {MOST_PATTERNS} are allowed")
    began = time.thread_time()
    for number, pattern in enumerate(section.redact[:MOST_PATTERNS]):
        place = f"ledger.redact[{number}]: {short(pattern)}"
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("error")
                # Never matched here: even the empty text can take a pattern exponential time.
                re.compile(pattern)
        except (re.error, RecursionError, OverflowError) as error:
            mistakes.append(f"{place} is no regular expression: {error}")
        except Warning as warning:
            mistakes.append(f"{place} may mean something else to a later Python: {warning}; write \\[ for a bracket")
        if time.thread_time() - began > LONGEST_COMPILING:
            mistakes.append(f"{place}: compiling the patterns takes more than {LONGEST_COMPILING:g} s; simplify them")
            break
    return mistakes


class BranchConfig(Section, frozen=True, kw_only=True):
    """What becomes of commits on branches whose names fit a pattern; only the trusted branch's file says it."""

    publish: bool = False
    """Whether they are recorded and published, though they are not on the trusted branch; such branches need to be
    protected, because a build of the site runs their `netlify.toml`."""
    pin: bool = False
    """Whether a published snapshot is also pinned under the branch's name, `release/1.2` as `release-1-2`."""
    tier: Annotated[str, Meta(max_length=64, description="a tier, or auto")] = ""
    """Which tier their commits are measured with; "" for the one that publishes, `auto` for all up to it."""


class KeepConfig(Section, frozen=True, kw_only=True):
    """Which snapshots `publisher prune` keeps, besides the live one."""

    last: Annotated[int, Meta(ge=1)] = 50
    """How many of the newest snapshots are kept."""
    best_per_suite: Annotated[int, Meta(ge=0)] = 1
    """How many of the best snapshots of each suite are kept."""
    pinned: bool = True
    """Whether pinned snapshots are kept."""
    labels: list[str] = msgspec.field(default_factory=list)
    """Patterns of git tags: a snapshot whose commit has such a tag is kept."""


class SiteConfig(Section, frozen=True, kw_only=True):
    """What the pages are like and offer; the rest of a team's site is in the folder `site/`."""

    lang: Annotated[
        str, Meta(pattern=r"^[a-z]{2,3}(-[A-Za-z0-9]{2,8}){0,3}$", description="a language, such as en or zh-CN")
    ] = "en"
    """The language of the pages: one that `site/strings/` has a catalogue of, shipped or the team's own."""
    try_model: Literal["auto", "yes", "no"] = msgspec.field(default="auto", name="try")
    """Whether a page lets the model answer in the reader's browser; `auto` where its file is small and in the deploy.

    With `yes` a larger model has the page as well, and the reader chooses its file from their own disk.
    """
    feedback: bool = False
    """Whether every snapshot's pages ask for a rating; a canary then compares the candidate's with the live one's.

    The forms are Netlify's: Netlify → Forms → Enable form detection. It counts from the next snapshot on.
    """


class NetlifyConfig(Section, frozen=True, kw_only=True):
    """The site that is published to; secrets come from the environment only."""

    site: Annotated[str, Meta(pattern=rf"^({SITE_NAME})?$", max_length=37, description="a-z 0-9 -")] = ""
    """The site's name: SITE in SITE.netlify.app."""
    timeout: Annotated[float, Meta(gt=0, description="seconds to wait for a deploy")] = 1500.0
    """How long a build is waited for before the command ends; the same command continues."""
    lock: bool = False
    """Whether Netlify is stopped from publishing builds by itself when a snapshot goes live."""
    live: Literal["auto", "approve"] = "auto"
    """With `approve` a snapshot is published and the live site stays until `publisher rollback SNAPSHOT`."""
    keep: KeepConfig = KeepConfig()
    builds_per_minute: Annotated[int, Meta(ge=0, description="0 (no limit) or more")] = 3
    """Calls of the build hook in a minute, in all clones together."""
    builds_per_day: Annotated[int, Meta(ge=0, description="0 (no limit) or more")] = 100
    """The same in 24 hours."""
    builds_per_month: Annotated[int, Meta(ge=0, description="0 (no limit) or more")] = 300
    """Builds in 31 days: as many as an older plan's 300 build minutes pay for, at a minute each."""
    production_per_month: Annotated[int, Meta(ge=0, description="0 (no limit) or more")] = 15
    """Production deploys in 31 days, which only a site without NETLIFY_AUTH_TOKEN needs.

    Of the 20 that the Free plan's 300 credits pay for, 5 are in reserve: what readers download costs credits, too.
    """
