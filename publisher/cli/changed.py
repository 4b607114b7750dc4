"""`publisher changed`: whether there is anything to measure."""

from __future__ import annotations

import click

from publisher.cli.shared import open_project
from publisher.cli.terminal import echo, echo_json
from publisher.config import AUTO
from publisher.publishing.unchanged import same_inputs


@click.command("changed")
@click.argument("revision", default="HEAD", metavar="[REV]")
@click.option("--tier", default="", help="Which tier would be run (default: the one that is published).")
@click.option("--json", "as_json", is_flag=True, help="Print the answer as JSON.")
@click.pass_context
def command(ctx: click.Context, revision: str, tier: str, as_json: bool) -> None:
    """Say whether commit REV (default: HEAD) changes anything that decides a score, from git alone.

    It is compared with the newest kept run: model, prompt, sampling, engine options, suites, k, and committed files.
    """
    project = open_project(ctx)
    project.ledger.sync()
    target = project.target(revision, "" if tier == AUTO else tier)
    same = same_inputs(project, target)
    if as_json:
        echo_json({"commit": target.commit, "tier": target.tier, "changed": not same, "same_as": same})
    elif same:
        echo(f"unchanged: {target.commit[:12]} describes what {same} measured")
    else:
        echo(f"changed: no kept run measured what {target.commit[:12]} describes")
