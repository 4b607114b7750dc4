"""`publisher cite`: a published snapshot for a paper's bibliography."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from publisher.cli import offers
from publisher.cli.shared import open_project
from publisher.cli.terminal import echo
from publisher.errors import UsageError
from publisher.publishing.cite import FORMS, citation
from publisher.publishing.find import find_snapshot
from publisher.publishing.pipeline import stored_verdict

if TYPE_CHECKING:
    from publisher.publishing.cite import Form


@click.command("cite", context_settings={"ignore_unknown_options": True})
@click.argument("snapshot", shell_complete=offers.snapshots)
@click.option(
    "--format", "form", type=click.Choice(list(FORMS)), default="bibtex", show_default=True, help="Which form."
)
@click.pass_context
def command(ctx: click.Context, snapshot: str, form: Form) -> None:
    """Print a citation of SNAPSHOT: its permanent address, and the digest of its manifest from the receipt.

    SNAPSHOT is a snapshot's branch, a pin, a run, a commit, or -N for N before the live one. Anybody can check the
    digest: curl -fsS ADDRESS/manifest.json | sha256sum
    """
    project = open_project(ctx)
    project.ledger.sync()
    run = find_snapshot(project, snapshot)
    if run.receipt is None:
        raise UsageError(
            f"the deploy of {run.line.snapshot} was pruned {run.line.pruned}, so its address leads nowhere",
            hint=f"publisher verify --repair {run.line.snapshot}   publishes it again, byte for byte",
        )
    headline = stored_verdict(project, run.run_id).headline
    echo(FORMS[form](citation(project.record(run.run_id), run.receipt, headline)))
