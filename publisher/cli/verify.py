"""`publisher verify`: permanent addresses against their manifests."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from publisher.cli import offers
from publisher.cli.shared import open_project
from publisher.cli.terminal import echo, echo_json, note
from publisher.errors import DeployError, StorageError, UsageError
from publisher.publishing.audit import Progress, audit, auditable
from publisher.publishing.failures import Failures
from publisher.publishing.find import find_repairable, find_snapshot
from publisher.publishing.report import one_line
from publisher.publishing.signatures import signed

if TYPE_CHECKING:
    from publisher.publishing.project import Project
    from publisher.verify import Verification

_FAULTS = {"bad": "bad", "unknown": "by an unknown signer", "unsigned": "unsigned after the first good signature"}
SHOWN = 5
"""Faults of one snapshot that are named; --json has all."""


@click.command("verify", context_settings={"ignore_unknown_options": True})
@click.argument("snapshots", shell_complete=offers.snapshots, nargs=-1, metavar="[SNAPSHOT]...")
@click.option("--all", "everything", is_flag=True, help="Verify every published snapshot (the default).")
@click.option("--repair", is_flag=True, help="Deploy lost or damaged snapshots again from git, byte for byte.")
@click.option("--signatures", is_flag=True, help="Check who signed the ledger, the snapshots and their manifests.")
@click.option("--fresh", is_flag=True, help="Start over where a verification of all was interrupted.")
@click.option("--json", "as_json", is_flag=True, help="Print what was found as JSON.")
@click.pass_context
def command(
    ctx: click.Context,
    snapshots: tuple[str, ...],
    everything: bool,
    repair: bool,
    signatures: bool,
    fresh: bool,
    as_json: bool,
) -> None:
    """Fetch every file of each SNAPSHOT from its permanent address and compare its digest and headers.

    With --repair, a kept run that was never published to the end is published, too. With --signatures, the keys that
    `[ledger] signers` of the trusted branch lists have to have signed; of the files only the manifests are fetched.
    """
    if everything and snapshots:
        raise UsageError("--all goes without names", hint="publisher verify --all")
    if signatures and (repair or fresh):
        raise UsageError("--signatures goes without --repair and --fresh", hint="publisher verify --signatures")
    project = open_project(ctx)
    project.ledger.sync()
    failures = Failures(note)
    if signatures:
        _check_signatures(project, snapshots, failures, as_json=as_json)
        return
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


def _check_signatures(project: Project, names: tuple[str, ...], failures: Failures, *, as_json: bool) -> None:
    """Print what each signature is worth: snapshots and manifests one by one, entries by number and where at fault."""
    runs = [find_snapshot(project, name) for name in names] or auditable(project, mend=False)
    found = list(signed(project, runs, failures))
    if as_json:
        echo_json([asdict(one) for one in found])
    else:
        for one in found:
            if one.kind != "entry" or one.fault:
                what = f"{one.kind} {one_line(one.name, 80)}"
                echo(f"{'✗' if one.fault else '✓'} {one.state:<8}  {what} ({one.commit[:12]})")
        states = Counter(one.state for one in found if one.kind == "entry")
        echo("ledger entries: " + (", ".join(f"{count} {state}" for state, count in sorted(states.items())) or "none"))
    faults = Counter(one.state for one in found if one.fault)
    if faults:
        words = ", ".join(f"{count} {_FAULTS[state]}" for state, count in sorted(faults.items()))
        raise StorageError(
            f"signatures are not as they should be: {words}",
            hint="git log ledger   says who wrote them; a key that was retired stays listed with valid-before",
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
