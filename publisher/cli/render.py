"""`publisher render`: a snapshot branch's tree to dist/."""

from __future__ import annotations

import os
from pathlib import Path

import click

from publisher.cli.shared import open_project
from publisher.cli.terminal import echo, note
from publisher.ledger.snapshots import shown_by
from publisher.render import Source, render


@click.command("render")
@click.option("--into", default="dist", show_default=True, type=click.Path(path_type=Path), help="The output folder.")
@click.option("--address", default="", help="The site's main address (default: the one that the snapshot names).")
@click.option("--strict/--no-strict", default=True, show_default=True, help="Fail on dead links and blocked content.")
@click.pass_context
def command(ctx: click.Context, into: Path, address: str, strict: bool) -> None:
    """Build the site of the snapshot that is checked out here into a folder, whole or not at all."""
    repository = open_project(ctx).repository
    source = Source(
        tree=repository.root,
        address=address,
        branch=os.environ.get("HEAD", ""),
        # On a remote that accepts fast-forwards only, `live` is at a commit of its own and still shows a snapshot.
        commit=shown_by(repository, repository.resolve("HEAD")),
        deploy_id=os.environ.get("DEPLOY_ID", ""),
        deploy_url=os.environ.get("DEPLOY_URL", ""),
    )
    rendered = render(source, into, strict=strict)
    for warning in rendered.warnings:
        note(f"warning: {warning}")
    echo(f"{into}: {rendered.files} files, manifest sha256 {rendered.manifest_sha256}")
