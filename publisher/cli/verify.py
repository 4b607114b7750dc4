"""`publisher verify`: permanent addresses against their manifests."""

from __future__ import annotations

import click

from publisher import upkeep
from publisher.cli.shared import echo_json, note, open_place
from publisher.errors import DeployError


@click.command("verify", context_settings={"ignore_unknown_options": True})
@click.argument("snapshots", nargs=-1, metavar="[SNAPSHOT]...")
@click.option("--all", "everything", is_flag=True, help="Verify every published snapshot (the default).")
@click.option("--repair", is_flag=True, help="Deploy lost or damaged snapshots again from git, byte for byte.")
@click.option("--json", "as_json", is_flag=True, help="Print what was found as JSON.")
@click.pass_context
def command(ctx: click.Context, snapshots: tuple[str, ...], everything: bool, repair: bool, as_json: bool) -> None:
    """Fetch every file of each SNAPSHOT from its permanent address and compare it with the manifest's digests."""
    place = open_place(ctx)
    place.ledger.sync()
    named = [upkeep.find_snapshot(place, name) for name in snapshots]
    chosen = named if named and not everything else [run for run in place.runs() if run.receipt]
    found = []
    for run in chosen:
        if run.last_receipt is None:
            continue
        report = upkeep.check(place, run, run.last_receipt)
        if report.problems and repair and not report.private:
            note(f"repairing {run.line.snapshot}")
            report = upkeep.check(place, run, upkeep.restore_snapshot(place, run, note))
        found.append(report)
        if not as_json:
            mark = "✗" if report.problems else "✓"
            click.echo(f"{mark} {report.address}: {report.files} files, {len(report.missing)} missing, "
                       f"{len(report.changed)} changed, {len(report.private)} private")
    if as_json:
        echo_json([{"address": report.address, "files": report.files, "missing": report.missing,
                    "changed": report.changed, "private": report.private} for report in found])
    wrong = sum(report.problems > 0 for report in found)
    if wrong:
        raise DeployError(f"{wrong} of {len(found)} snapshots do not serve what was rendered",
                          hint="publisher verify --repair")
