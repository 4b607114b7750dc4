"""`publisher verify`: permanent addresses against their manifests."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from publisher.cli.shared import open_project
from publisher.cli.terminal import echo, echo_json, note
from publisher.errors import DeployError, UsageError
from publisher.publishing.audit import Progress, audit, auditable
from publisher.publishing.failures import Failures
from publisher.publishing.find import find_repairable, find_snapshot

if TYPE_CHECKING:
    from publisher.publishing.project import Project
    from publisher.verify import Verification

SHOWN = 5
"""Faults of one snapshot that are named; --json has all."""


@click.command("verify", context_settings={"ignore_unknown_options": True})
@click.argument("snapshots", nargs=-1, metavar="[SNAPSHOT]...")
@click.option("--all", "everything", is_flag=True, help="Verify every published snapshot (the default).")
@click.option("--repair", is_flag=True, help="Deploy lost or damaged snapshots again from git, byte for byte.")
@click.option("--fresh", is_flag=True, help="Start over where a verification of all was interrupted.")
@click.option("--json", "as_json", is_flag=True, help="Print what was found as JSON.")
@click.pass_context
def command(
    ctx: click.Context, snapshots: tuple[str, ...], everything: bool, repair: bool, fresh: bool, as_json: bool
) -> None:
    """Fetch every file of each SNAPSHOT from its permanent address and compare its digest and headers.

    With --repair, a kept run that was never published to the end is published, too.
    """
    if everything and snapshots:
        raise UsageError("--all goes without names", hint="publisher verify --all")
    project = open_project(ctx)
    project.ledger.sync()
    failures = Failures(note)
    chosen = [(find_repairable if repair else find_snapshot)(project, name) for name in snapshots]
    runs = chosen or auditable(project, mend=repair)
    progress = None if chosen else Progress.of(project, fresh=fresh)
    if not chosen and not repair:
        _name_unfinished(project)
    found = []
    for report, known in audit(project, runs, progress, mend=repair, failures=failures):
        found.append(report)
        if not as_json:
            _show(report, known=known)
    if as_json:
        echo_json(
            [
                {
                    "address": report.address,
                    "files": report.files,
                    "missing": report.missing,
                    "changed": report.changed,
                    "unreadable": report.unreadable,
                    "private": report.private,
                    "headers": report.headers,
                }
                for report in found
            ]
        )
    damaged = sum(report.damaged > 0 for report in found)
    if damaged:
        raise DeployError(
            f"{_of(damaged, found)} not serve what was rendered",
            hint="make branch deploys public"
            if all(report.private for report in found if report.damaged)
            else "publisher verify --repair",
        )
    wrong = sum(report.problems > 0 for report in found)
    if wrong:
        raise DeployError(
            f"{_of(wrong, found)} not send the headers that were rendered",
            hint="look for [[headers]] in netlify.toml, plugins and edge functions",
        )
    failures.check("verified")


def _name_unfinished(project: Project) -> None:
    """Say which kept runs have no address to verify yet."""
    for run in auditable(project, mend=True):
        if run.last_receipt is None:
            note(f"{run.run_id} is not published to the end: publisher reconcile, or publisher verify --repair")


def _of(count: int, found: list[Verification]) -> str:
    return f"{count} of {len(found)} snapshots {'does' if count == 1 else 'do'}"


def _show(report: Verification, *, known: bool) -> None:
    """Print one snapshot's line, and below it what is wrong."""
    counts = [
        (len(report.missing), "missing"),
        (len(report.changed), "changed"),
        (len(report.unreadable), "unreadable"),
        (len(report.private), "private"),
        (len(report.headers), "wrong headers"),
    ]
    words = ", ".join([f"{report.files} files", *(f"{count} {word}" for count, word in counts)])
    before = " (found whole before the interruption)" if known else ""
    echo(f"{'✗' if report.problems else '✓'} {report.address}: {words}{before}")
    faults = [
        f"{word}: {path}" for word in ("missing", "changed", "unreadable", "private") for path in getattr(report, word)
    ]
    faults += [f"header: {sentence}" for sentence in report.headers]
    for fault in faults[:SHOWN]:
        echo(f"    {fault}")
    if len(faults) > SHOWN:
        echo(f"    … and {len(faults) - SHOWN} more")
