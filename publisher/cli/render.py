"""`publisher render`: a snapshot branch's tree to dist/."""

from __future__ import annotations

import os
from pathlib import Path

import click

from publisher.cli.shared import open_place
from publisher.render import render_checkout


@click.command("render")
@click.option("--into", default="dist", show_default=True, type=click.Path(path_type=Path), help="The output folder.")
@click.option("--address", default="", help="The site's main address (default: the one that the snapshot names).")
@click.pass_context
def command(ctx: click.Context, into: Path, address: str) -> None:
    """Build the site of the snapshot that is checked out here into a folder, whole or not at all."""
    place = open_place(ctx)
    environment = os.environ
    rendered = render_checkout(
        place.repository, into, address=address or environment.get("URL", ""),
        deploy_id=environment.get("DEPLOY_ID", ""), deploy_url=environment.get("DEPLOY_URL", ""),
    )
    click.echo(f"{into}: {rendered.files} files, manifest sha256 {rendered.manifest_sha256}")
