"""The command line: parse, call one function, turn errors into exit codes.

Each command lives in its own module and is imported only when it is typed, so `publisher --help` answers at once.
"""

from __future__ import annotations

import importlib
import os
import signal
import sys
from typing import TYPE_CHECKING, NoReturn

import click

from publisher import __version__
from publisher.errors import PublisherError

if TYPE_CHECKING:
    from types import FrameType

COMMANDS = {
    "bench": "Measure the model that a commit describes.",
    "gate": "Say whether a measured commit would be kept, and why.",
    "publish": "Take a commit all the way: bench, gate, ledger and, when kept, a published snapshot.",
    "reconcile": "Finish every kept run whose publishing was interrupted.",
    "log": "List every run, kept or refused.",
    "snapshots": "List the published snapshots and their permanent addresses.",
    "live": "Say which snapshot the live site shows, since when and why.",
    "rollback": "Show an older snapshot on the live site.",
    "pin": "Give a snapshot a memorable address that never moves by itself.",
    "verify": "Prove that permanent addresses serve exactly what was rendered.",
    "prune": "Delete old deploys that no rule keeps; their records stay.",
    "reproduce": "Measure a snapshot's commit again and compare every answer.",
    "bisect": "Find the commit that made the score drop.",
    "quantize": "Write a model in other quantizations.",
    "doctor": "Say what llama.cpp really does on this machine.",
    "render": "Build the site of a snapshot branch into dist/.",
    "serve": "Run a Netlify-compatible host on this machine.",
    "init": "Write the files that a repository needs to be published.",
}
INTERRUPTED = 130


class _Lazy(click.Group):
    """A group whose commands are imported when they are called."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - as above
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f"publisher.cli.{cmd_name}")
        command: click.Command = module.command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002 - as above
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.command(cls=_Lazy, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, package_name="snapshot-publisher")
@click.option("--repo", default=".", metavar="FOLDER", help="The repository to work on (default: the one around here).")
@click.option("--remote", default="origin", show_default=True, help="Where ledger and snapshot branches are pushed.")
@click.pass_context
def group(ctx: click.Context, repo: str, remote: str) -> None:
    """Benchmark the model that a git commit describes; publish every kept result as an immutable site.

    Exit codes: 0 done (and kept) · 1 the gate said no · 2 usage or configuration · 3 the machinery failed ·
    4 inconclusive · 130 interrupted.
    """
    ctx.obj = {"repo": repo, "remote": remote}


def main() -> NoReturn:
    """Run the command line and exit with the code that the outcome calls for."""
    signal.signal(signal.SIGTERM, _terminate)
    try:
        code = group.main(standalone_mode=False)
        sys.stdout.flush()
    except PublisherError as error:
        _show(error.message, error.hint, error.detail)
        code = error.exit_code
    except click.exceptions.Abort:
        _show("interrupted: the next run goes on from here", "", "")
        code = INTERRUPTED
    except KeyboardInterrupt:
        _show("interrupted: the next run goes on from here", "", "")
        code = INTERRUPTED
    except click.ClickException as error:
        error.show()
        code = error.exit_code
    except BrokenPipeError:
        # The reader of our output has gone (`publisher log | head`); a second message would hit the same pipe.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 0
    except OSError as error:
        # What no function closer by had a better word for: a folder that somebody else owns, say.
        where = f" {os.fsdecode(error.filename)}" if isinstance(error.filename, str | bytes) else ""
        _show(f"the system refuses to work with{where or ' a file'}: {error.strerror or error}", "", "")
        code = PublisherError.exit_code
    sys.exit(code if isinstance(code, int) else 0)


def _terminate(signum: int, frame: FrameType | None) -> NoReturn:  # noqa: ARG001 - the signature of a handler
    """Treat SIGTERM like Ctrl-C: what is under way is left so that the next run continues."""
    raise KeyboardInterrupt


def _show(message: str, hint: str, detail: str) -> None:
    """Print an error: what and where, its log indented, and what to type next."""
    from publisher.publishing.report import plain  # noqa: PLC0415 - only a failure needs it

    lines = [f"error: {plain(message)}", *(f"    {line}" for line in plain(detail).splitlines())]
    if hint:
        lines.append(f"hint: {plain(hint)}")
    click.echo("\n".join(lines), err=True)
