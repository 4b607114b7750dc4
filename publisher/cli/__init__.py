"""The command line: parse, call one function, turn errors into exit codes.

Each command lives in its own module and is imported only when it is typed, so `publisher --help` answers at once.
"""

from __future__ import annotations

import importlib
import os
import signal
import sys
import traceback
from typing import TYPE_CHECKING, NoReturn

import click
from click.shell_completion import CompletionItem

from publisher.cli import terminal
from publisher.cli.groups import Commands, pattern
from publisher.cli.secret_files import from_files
from publisher.errors import PublisherError, UsageError
from publisher.secret import Secret
from publisher.version import __version__

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from types import FrameType

SECTIONS = {
    "Set up": {
        "init": "Write the files that a repository needs to be published.",
        "doctor": "Check the whole set-up, and say what to do about each finding.",
        "serve": "Run a Netlify-compatible host on this machine.",
        "hooks": "Measure each commit in the background, and gate each push, by git hooks.",
        "tekton": "Write the gate as a Tekton pipeline.",
        "schema": "Print the JSON Schema of publisher.toml, for editors.",
        "completion": "Print what makes bash, zsh or fish complete commands and options.",
    },
    "Measure and publish": {
        "publish": "Take a commit all the way: bench, gate, ledger and, when kept, a published snapshot.",
        "bench": "Measure the model that a commit describes.",
        "gate": "Say whether a measured commit would be kept, and why.",
        "changed": "Say whether a commit changes anything that decides a score.",
        "reconcile": "Finish every kept run whose publishing was interrupted.",
        "render": "Build the site of a snapshot branch into dist/.",
    },
    "Look at runs": {
        "log": "List every run, kept or rejected.",
        "snapshots": "List the published snapshots and their permanent addresses.",
        "show": "Print the answers of a run.",
        "diff": "Say what differs between two runs: scores, problems that turned, settings, figures.",
        "view": "Show a run's pages in a browser, published or not.",
        "regrade": "Score a run's recorded answers with today's grader, and say what changes.",
    },
    "The live site": {
        "live": "Say which snapshot the live site shows, since when and why.",
        "rollback": "Show an older snapshot on the live site.",
        "canary": "Show a snapshot to some readers first, listen, then promote or abort.",
        "review": "Rate a snapshot's answers in the terminal, blind beside another's.",
        "pin": "Give a snapshot a memorable address that never moves by itself.",
    },
    "Overrule and remember": {
        "accept": "Keep a run that the gate rejected, left open or held.",
        "reject": "Withdraw a run that was kept.",
        "approve": "Let a run through that waits for approval.",
        "label": "Attach a word to a run.",
        "audit": "Say who did what to which run, when and why.",
    },
    "Prove, and clean up": {
        "verify": "Prove that permanent addresses serve exactly what was rendered.",
        "reproduce": "Measure a snapshot's commit again and compare every answer.",
        "cite": "Print a citation of a snapshot: BibTeX, CFF or plain.",
        "bisect": "Find the commit that made the score drop.",
        "prune": "Delete old deploys that no rule keeps; their records stay.",
        "give-up": "End a run that cannot be published, for good.",
        "takedown": "Remove a published page for good; the ledger says who did it and why.",
    },
    "Benchmarks, graders, models": {
        "suites": "Find, fetch, check, compare and weigh suites.",
        "grade": "Check a grader on pairs of completion and expected answer.",
        "prompts": "List a commit's prompts, or compare two of them.",
        "models": "List the cached models, and free what nothing uses.",
        "quantize": "Write a model in other quantizations.",
    },
}
"""The commands by what they are for, each with its sentence."""
COMMANDS = {name: text for commands in SECTIONS.values() for name, text in commands.items()}
INTERRUPTED = 130
TRACEBACK = "PUBLISHER_TRACEBACK"
"""The variable that adds the traceback to an error."""
EXTRAS = {
    "grade": (
        "jsonschema",
        "math_verify",
        "sympy",
        "latex2sympy2_extended",
        "psutil",
        "py3langid",
        "pylatexenc",
        "radon",
    ),
    "bench": ("llama_cpp", "numpy", "pynvml"),
    "suites": ("huggingface_hub", "pyarrow"),
    "host": ("starlette", "uvicorn"),
    "notify": ("apprise",),
    "s3": ("fsspec", "s3fs"),
    "tekton": ("yaml",),
}
"""The packages of each extra, by the names under which they are imported."""
SECRETS = (
    "NETLIFY_AUTH_TOKEN",
    "NETLIFY_BUILD_HOOK",
    "PUBLISHER_GIT_TOKEN",
    "PUBLISHER_NOTIFY",
    "GITHUB_TOKEN",
    "HF_TOKEN",
    "PUBLISHER_REPORT_TOKEN",
    "PUBLISHER_WEBHOOK_SECRET",
)
"""Variables whose values are never shown."""


class _Lazy(Commands):
    """A group whose commands are imported when they are called."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - as above
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f"publisher.cli.{cmd_name.replace('-', '_')}")
        command: click.Command = module.command
        return command

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Complete commands by their names, without importing any, and options."""
        found = [CompletionItem(name, help=text) for name, text in COMMANDS.items() if name.startswith(incomplete)]
        return [*found, *click.Command.shell_complete(self, ctx, incomplete)]

    def sections(self, ctx: click.Context) -> Mapping[str, Mapping[str, str]]:  # noqa: ARG002 - as above
        return SECTIONS


@click.command(cls=_Lazy, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, package_name="snapshot-publisher")
@click.option("--repo", default=".", metavar="FOLDER", help="The repository to work on (default: the one around here).")
@click.option("--remote", help="Where ledger and snapshot branches are pushed (default: origin, if there is one).")
@click.option(
    "--policy-ref",
    default="",
    envvar="PUBLISHER_POLICY_REF",
    metavar="BRANCH",
    help="The trusted branch, whose rules and suites count for commits that are not on it.",
)
@click.option(
    "--as-fetched",
    is_flag=True,
    envvar="PUBLISHER_AS_FETCHED",
    help="Do not ask the remote: take its branches as this clone last fetched them (bench, changed and gate).",
)
@click.option("--local", is_flag=True, help="Use the host that `publisher serve` runs here, instead of Netlify.")
@click.pass_context
def group(ctx: click.Context, repo: str, remote: str | None, policy_ref: str, as_fetched: bool, local: bool) -> None:
    """Benchmark the model that a git commit describes; publish every kept result as an immutable site.

    Exit codes: 0 done · 1 the gate rejected · 2 usage or configuration · 3 the machinery failed ·
    4 inconclusive · 130 interrupted.
    """
    ctx.obj = {"repo": repo, "remote": remote, "policy_ref": policy_ref, "as_fetched": as_fetched, "local": local}


def main() -> NoReturn:
    """Run the command line and exit with the code that the outcome calls for."""
    main_of(lambda: group.main(standalone_mode=False))


def main_of(command: Callable[[], object]) -> NoReturn:
    """Run a command and exit with the code that it returns, or that its error calls for; no traceback, no secret."""
    try:
        signal.signal(signal.SIGTERM, _terminate)
        terminal.prepare()
        # The one place where secrets come in; from here on they are treated as those of the environment are.
        os.environ.update(from_files(SECRETS, os.environ))
        for name in SECRETS:
            for word in os.environ.get(name, "").split():
                Secret(word)  # from here on no message shows it
        code = command()
    except BaseException as error:  # noqa: BLE001 - the last resort: nothing else ever ends a process
        # A second Ctrl-C must not break into the message about the first.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        code = _explain(error)
    code = code if isinstance(code, int) else 0
    sys.exit(code if terminal.flushed() or code else PublisherError.exit_code)


def _terminate(signum: int, frame: FrameType | None) -> NoReturn:  # noqa: ARG001 - the signature of a handler
    """Treat SIGTERM like Ctrl-C: what is under way is left so that the next run continues."""
    raise KeyboardInterrupt


def _explain(error: BaseException) -> int:
    """Say on stderr why the command ended early, and return its exit code."""
    if os.environ.get(TRACEBACK):
        terminal.note("".join(traceback.format_exception(error)))
    error = _missing_extra(error) or error
    if isinstance(error, PublisherError):
        terminal.show_error(error.message, hint=error.hint, detail=error.detail)
        return error.exit_code
    if isinstance(error, click.ClickException):
        asked = error.ctx.command_path if isinstance(error, click.UsageError) and error.ctx else "publisher"
        if isinstance(error, click.exceptions.NoArgsIsHelpError):
            terminal.note(error.format_message())  # a group of commands without one: nothing is wrong
        else:
            typed = pattern(error.ctx) + "   see " if isinstance(error, click.MissingParameter) and error.ctx else ""
            terminal.show_error(error.format_message(), hint=f"{typed}{asked} --help")
        return error.exit_code
    if _holds(error, KeyboardInterrupt, click.exceptions.Abort):
        terminal.show_error("interrupted: the same command continues from here")
        return INTERRUPTED
    if isinstance(error, SystemExit):
        return 0  # click ends so, with 1, when the reader of its own output (--help) has gone
    if isinstance(error, OSError):
        # What no function closer by had a better word for: a folder that somebody else owns, say.
        where = os.fsdecode(error.filename) if isinstance(error.filename, str | bytes) else "a file"
        terminal.show_error(f"cannot access {where}: {error.strerror or error}")
        return PublisherError.exit_code
    said = " ".join(str(error).split())[:300]
    terminal.show_error(
        f"something that publisher did not expect: {type(error).__name__}{said and f': {said}'}",
        hint=f"please report it to publisher's maintainers, with what {TRACEBACK}=1 adds to this message",
    )
    return PublisherError.exit_code


def _missing_extra(error: BaseException) -> UsageError | None:
    """Return the error for a package that belongs to an extra which is not installed; None for any other error."""
    missing = (error.name or "").partition(".")[0] if isinstance(error, ModuleNotFoundError) else ""
    for extra, packages in EXTRAS.items():
        if missing in packages:
            hint = f"pip install 'snapshot-publisher[{extra}]'"
            return UsageError(f"this needs the package {missing}, which is not installed", hint=hint)
    return None


def _holds(error: BaseException, *kinds: type[BaseException]) -> bool:
    """Return whether an error, or what it was made of on its way through a library, is one of `kinds`."""
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, kinds):
            return True
        seen = seen.__cause__ or seen.__context__
    return False
