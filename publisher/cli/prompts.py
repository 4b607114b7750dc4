"""`publisher prompts`: the prompts of a commit, and their differences."""

from __future__ import annotations

import click

from publisher.cli.groups import Commands
from publisher.cli.shared import open_project
from publisher.cli.terminal import echo, echo_json
from publisher.publishing import prompts


@click.group("prompts", cls=Commands)
def command() -> None:
    """List a commit's prompts (prompts/NAME.toml), or compare two of them."""


@command.command("list")
@click.argument("revision", default="HEAD", metavar="[REV]")
@click.option("--json", "as_json", is_flag=True, help="Print the names as JSON.")
@click.pass_context
def list_(ctx: click.Context, revision: str, as_json: bool) -> None:
    """List the prompts of commit REV (default: HEAD)."""
    project = open_project(ctx)
    commit = project.repository.resolve(revision)
    found = prompts.names(project, commit)
    if as_json:
        echo_json(found)
    elif not found:
        echo(f"commit {commit[:12]} has no prompts/NAME.toml")
    else:
        echo("\n".join(found))


@command.command("diff")
@click.argument("one", metavar="[REV:]NAME")
@click.argument("other", metavar="[REV:]NAME")
@click.pass_context
def diff(ctx: click.Context, one: str, other: str) -> None:
    """Show what differs between two prompts; without REV: they are those of HEAD."""
    found = prompts.difference_of(open_project(ctx), one, other)
    echo(found or "they do not differ")
