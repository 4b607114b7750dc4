"""`publisher schema`: what editors need to complete and check publisher.toml, and programs to read `--json`."""

from __future__ import annotations

import click

from publisher.cli.terminal import echo_json
from publisher.config.json_schema import json_schema
from publisher.publishing import listing

CONFIGURATION, LOG = "publisher.toml", "log"


@click.command("schema")
@click.argument("what", default=CONFIGURATION, type=click.Choice([CONFIGURATION, LOG]), metavar="[WHAT]")
def command(what: str) -> None:
    """Print the JSON Schema of publisher.toml, or (WHAT is log) of what log and snapshots print with --json.

    Save the first as publisher.schema.json beside publisher.toml, whose first line
    `#:schema ./publisher.schema.json` leads editors to it (Even Better TOML, Taplo). `publisher init` does both.
    """
    echo_json(json_schema() if what == CONFIGURATION else listing.json_schema())
