"""`publisher schema`: what editors need to complete and check publisher.toml."""

from __future__ import annotations

import click

from publisher.cli.terminal import echo_json
from publisher.config.json_schema import json_schema


@click.command("schema")
def command() -> None:
    """Print the JSON Schema of publisher.toml.

    Save it as publisher.schema.json beside publisher.toml, whose first line `#:schema ./publisher.schema.json` leads
    editors to it (Even Better TOML, Taplo). `publisher init` does both.
    """
    echo_json(json_schema())
