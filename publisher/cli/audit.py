"""`publisher audit`: who did what, when and why."""

from __future__ import annotations

import click

from publisher.cli.shared import open_project
from publisher.cli.terminal import echo, echo_json
from publisher.errors import UsageError
from publisher.publishing.report import one_line
from publisher.publishing.trail import as_csv, trail


@click.command("audit")
@click.option("--since", default="", metavar="WHEN", help="A date, a time or a duration such as 30d (default: all).")
@click.option("--json", "as_json", is_flag=True, help="Print the events as JSON.")
@click.option("--csv", "as_table", is_flag=True, help="Print the events as CSV.")
@click.pass_context
def command(ctx: click.Context, since: str, as_json: bool, as_table: bool) -> None:
    """Say who did what to which run, when and why: verdicts, deploys, live moves, pins, prunes, labels, decisions."""
    if as_json and as_table:
        raise UsageError("--json and --csv exclude each other")
    project = open_project(ctx)
    project.ledger.sync()
    events = trail(project, since)
    if as_json:
        echo_json([event._asdict() for event in events])
    elif as_table:
        echo(as_csv(events).rstrip("\n"))
    elif events:
        for event in events:
            who = one_line(event.who or "somebody", 24)
            words = ": ".join(filter(None, [one_line(event.what, 80), one_line(event.why, 120)]))
            echo(f"{event.time}  {event.event:<8}  {event.run_id}  {who}\n    {words}")
    else:
        echo("nothing happened" + (f" since {since}" if since else " yet"))
