"""`publisher verify`: permanent addresses against their manifests."""

from __future__ import annotations

import click

from publisher import pipeline
from publisher.cli.shared import open_place
from publisher.errors import DeployError
from publisher.files import canonical_json, sha256_hex
from publisher.netlify.verify import verify


@click.command("verify")
@click.argument("snapshots", nargs=-1, metavar="[SNAPSHOT]...")
@click.option("--all", "everything", is_flag=True, help="Verify every published snapshot.")
@click.pass_context
def command(ctx: click.Context, snapshots: tuple[str, ...], everything: bool) -> None:
    """Fetch every file of each SNAPSHOT from its permanent address and compare it with the manifest's digests."""
    place = open_place(ctx)
    place.ledger.sync()
    published = [run for run in place.runs() if run.receipt is not None]
    chosen = [pipeline.find_snapshot(place, name) for name in snapshots] if snapshots else published
    chosen = published if everything else chosen
    wrong = 0
    for run in chosen:
        receipt = run.receipt
        if receipt is None:
            continue
        digest = sha256_hex(canonical_json(place.record(run.run_id)))
        report = verify(receipt.address, record_sha256=digest, manifest_sha256=receipt.manifest_sha256)
        wrong += bool(report.problems)
        click.echo(f"{'✓' if not report.problems else '✗'} {receipt.address}: {report.files} files, "
                   f"{len(report.missing)} missing, {len(report.changed)} changed, {len(report.private)} private")
    if wrong:
        raise DeployError(f"{wrong} of {len(chosen)} snapshots do not serve what was rendered")
