"""`publisher view`: a run's pages on this machine."""

from __future__ import annotations

import contextlib
import webbrowser

import click

from publisher.cli import offers
from publisher.cli.shared import open_project
from publisher.cli.terminal import echo
from publisher.publishing.viewing import View, require_port
from publisher.web.local import LocalServer


@click.command("view", context_settings={"ignore_unknown_options": True})
@click.argument("run", shell_complete=offers.runs, default="HEAD", metavar="[RUN]")
@click.option("--tier", default="", help="Which tier's run, where a commit has several (default: the published one).")
@click.option("--port", default=0, show_default=True, type=click.IntRange(0, 65535), help="0 takes any free one.")
@click.option("--open", "in_browser", is_flag=True, help="Open the pages in a browser.")
@click.pass_context
def command(ctx: click.Context, run: str, tier: str, port: int, in_browser: bool) -> None:
    """Show the pages of RUN (default: HEAD's) in a browser: a run, snapshot, pin or commit, rejected and pending too.

    The pages answer on 127.0.0.1 alone, and reload when the run's verdict changes or a newer run is measured.
    """
    project = open_project(ctx)
    project.ledger.sync()
    view = View(project, run, tier)
    try:
        server = LocalServer(view.answer, port)
    except OSError as error:
        raise require_port(port, error) from error
    with server, contextlib.suppress(KeyboardInterrupt):
        echo(f"{server.address}\nCtrl-C stops it")
        if in_browser:
            webbrowser.open(server.address)
        server.serve_forever()
