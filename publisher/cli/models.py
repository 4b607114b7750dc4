"""`publisher models`: the model files that this machine keeps."""

from __future__ import annotations

import os

import click
import msgspec

from publisher.cli.shared import open_project
from publisher.cli.terminal import echo, echo_json


@click.command("models")
@click.option("--free", is_flag=True, help="Remove the models that no run of this repository and no HEAD uses.")
@click.option("--json", "as_json", is_flag=True, help="Print the list as JSON.")
@click.pass_context
def command(ctx: click.Context, free: bool, as_json: bool) -> None:
    """List the cached models, their size and the commits that were measured with them.

    Several repositories may share the cache: what --free removed and another one needs is fetched again.
    """
    from publisher.bench.inputs.kind import cache_folder  # noqa: PLC0415 - --help must work without the extra
    from publisher.publishing.models import cached, freed  # noqa: PLC0415 - as above

    project = open_project(ctx)
    project.ledger.sync()
    cache = cache_folder(os.environ)
    found = cached(project, cache)
    bytes_freed = freed(found, cache) if free else 0
    if as_json:
        echo_json({"models": msgspec.to_builtins(found), "freed": bytes_freed})
        return
    for one in found:
        used = ", ".join(commit[:12] for commit in one.commits[-5:]) + (", …" if len(one.commits) > 5 else "")
        state = f"used by {len(one.commits)} commits: {used}" if one.commits else "used by no run"
        wanted = "; HEAD asks for it" if one.wanted else ""
        echo(f"{one.sha256}  {one.size / 1e6:10,.1f} MB  {' · '.join(one.names) or '?'}  {state}{wanted}")
    unused = [one for one in found if not one.is_used]
    if free:
        echo(f"freed {bytes_freed / 1e6:,.1f} MB")
    elif unused:
        size = sum(one.size for one in unused) / 1e6
        echo(f"{len(unused)} of {len(found)} are used by nothing here, {size:,.1f} MB: publisher models --free")
    elif not found:
        echo(f"no models in {cache / 'models'}")
