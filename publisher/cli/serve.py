"""`publisher serve`: a Netlify-compatible host on this machine."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING

import click

from publisher.cli.shared import open_project
from publisher.cli.terminal import echo, note
from publisher.errors import UsageError
from publisher.files import atomic_write

try:
    from publisher.host import HostInfo, HostOptions, serve
    from publisher.host.build import confinement
except ModuleNotFoundError as missing:
    raise UsageError(
        f"publisher serve needs the package {missing.name}", hint="pip install 'snapshot-publisher[host]'"
    ) from missing

if TYPE_CHECKING:
    from publisher.publishing.project import Project


@click.command("serve")
@click.option("--port", default=8888, show_default=True, help="The port on 127.0.0.1; 0 takes any free one.")
@click.option(
    "--state",
    type=click.Path(path_type=Path),
    default=None,
    help="Where deploys are kept (default: publisher/host in the git folder).",
)
@click.option("--site", default="", help="The site's name (default: the one in publisher.toml).")
@click.option(
    "--source",
    default="",
    help="What builds clone from (default: the remote, or this repository). No login here: others see arguments.",
)
@click.option(
    "--env",
    "variables",
    multiple=True,
    metavar="NAME=VALUE",
    help="A build variable of the site. A path in it needs --readable where builds are confined.",
)
@click.option(
    "--confine/--no-confine",
    default=None,
    help="Confine builds with bubblewrap, or do not (default: where it is installed and works here).",
)
@click.option(
    "--readable",
    multiple=True,
    type=click.Path(path_type=Path, exists=True, resolve_path=True),
    help="A path that confined builds may read besides the system.",
)
@click.option("--rate-limits/--no-rate-limits", default=False, help="Enforce Netlify's rate limits.")
@click.pass_context
def command(
    ctx: click.Context,
    port: int,
    state: Path | None,
    site: str,
    source: str,
    variables: tuple[str, ...],
    confine: bool | None,
    readable: tuple[Path, ...],
    rate_limits: bool,
) -> None:
    """Serve build hooks, the API and every deploy of one site on 127.0.0.1, until Ctrl-C. No account is needed.

    A build runs the command in netlify.toml of the commit that it builds, as you. With bubblewrap it is confined: it
    can write only its own clone and cache, read only the system, and still reach the network, since it installs
    packages. Without bubblewrap it can do whatever you can: serve only repositories whose commits you trust.
    """
    confined = _confined(confine)
    project = open_project(ctx)
    if not site:
        config, _ = project.config(project.repository.resolve("HEAD"))
        site = config.netlify.site
    folder = state or project.workspace / "host"
    options = HostOptions(
        state=folder,
        site=site,
        port=port,
        environment=_pairs(variables),
        rate_limits=rate_limits,
        confine=confined,
        readable=readable,
        repository=source or _source(project),
        on_ready=lambda info: _announce(info, folder, usual=state is None),
    )
    try:
        serve(options)
    except KeyboardInterrupt:
        note("stopped; what was deployed is served again by the next publisher serve")


def _confined(wanted: bool | None) -> bool:
    """Return whether builds are confined, and say on stderr what they may do; UsageError where it was asked in vain."""
    possible = wanted is not False and confinement.works()
    if wanted and not possible:
        raise UsageError(
            "builds cannot be confined: bubblewrap is not installed, or the system forbids its namespaces",
            hint="sudo apt-get install bubblewrap   (or --no-confine, for commits that you trust)",
        )
    if possible:
        note("builds run confined: they see the system, their own clone and cache, and the network")
    else:
        why = "as --no-confine says" if wanted is False else "bubblewrap is not installed or does not work here"
        note(f"warning: builds run as you, unconfined ({why}): serve only commits that you trust")
    return possible


def _source(project: Project) -> str:
    """Return what builds clone from: the remote, or this repository; git reads a relative path from its root."""
    root, remote = project.repository.root, project.ledger.remote
    address = project.repository.text("remote", "get-url", remote) if remote else str(root)
    beside = root / address
    return str(beside.resolve()) if ":" not in address and beside.exists() else address


def _pairs(variables: tuple[str, ...]) -> dict[str, str]:
    """Return NAME=VALUE options as a mapping."""
    wrong = [text for text in variables if "=" not in text]
    if wrong:
        raise UsageError(f"--env {wrong[0]!r} is not NAME=VALUE")
    return dict(text.split("=", 1) for text in variables)


def _announce(info: HostInfo, folder: Path, *, usual: bool) -> None:
    """Say where the host is; its secrets go to a file that only the user can read.

    `usual` says that its state is where `--local` looks for it.
    """
    settings = {
        "NETLIFY_API_URL": info.api_url,
        "NETLIFY_AUTH_TOKEN": info.token,
        "NETLIFY_BUILD_HOOK": info.hook_url,
    }
    path = folder.resolve() / "environment"
    lines = "".join(f"export {key}={shlex.quote(value)}\n" for key, value in settings.items())
    atomic_write(path, lines.encode(), mode=0o600)
    publish = "publisher --local publish" if usual else f". {shlex.quote(str(path))}  &&  publisher publish"
    echo(f"serving {info.site_url}\nin another terminal:  {publish}\nCtrl-C stops it")
