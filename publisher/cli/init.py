"""`publisher init`: the files that a repository needs, and what is left to do."""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from importlib import resources
from pathlib import Path

import click

from publisher.bench.inputs.kind import remember
from publisher.cli.shared import open_project
from publisher.cli.terminal import echo
from publisher.config import SITE_NAME
from publisher.errors import UsageError
from publisher.files import atomic_write
from publisher.git.working import commit_files
from publisher.publishing.adoption import adopt, starter
from publisher.version import __version__

EXECUTABLE = {"hooks/netlify-build"}
LARGEST = 1 << 20
_ACTION = re.compile(r"[\w.-]+/[\w.-]+@[0-9a-f]{40}")


@click.command("init")
@click.option("--site", required=True, help="The Netlify site's name: SITE in SITE.netlify.app.")
@click.option("--model", default="", help="A GGUF file or a source (default: the one .gguf that is here, or a demo's).")
@click.option("--suite", default="", help="A .jsonl of this repository, or a benchmark's name (publisher suites list).")
@click.option("--sha256", default="", metavar="DIGEST", help="The model's, where it is fetched from elsewhere.")
@click.option("--requirement", default="", help="What pip installs on Netlify (default: what is installed here).")
@click.option("--action", default="", metavar="OWNER/REPO@COMMIT", help="Where workflows take the action from.")
@click.option("--commit", is_flag=True, help="Commit what was written, and nothing else.")
@click.option("--overwrite", is_flag=True, help="Replace files that are there and differ.")
@click.pass_context
def command(
    ctx: click.Context,
    site: str,
    model: str,
    suite: str,
    sha256: str,
    requirement: str,
    action: str,
    commit: bool,
    overwrite: bool,
) -> None:
    """Write publisher.toml, netlify.toml, the build script and the workflows, and say what is left to do.

    Files that are there stay as they are; where they differ from what would be written, the difference is shown.
    """
    if len(site) > 37 or not re.fullmatch(SITE_NAME, site):
        raise UsageError(
            f"--site {site!r} cannot be a Netlify site's name", hint="use a-z, 0-9 and -, up to 37 characters"
        )
    if action and not _ACTION.fullmatch(action):
        raise UsageError(f"--action {action!r} is not OWNER/REPO@COMMIT, with a full commit")
    repository = open_project(ctx).repository
    root = repository.root
    chosen = starter.find_model(root, model, sha256, Path.cwd())
    suite = starter.find_suite(root, suite, Path.cwd())
    text = (hooks_folder() / "starter" / "publisher.toml").read_text(encoding="utf-8")
    config = starter.configuration(text, site=site, model=chosen, suite=suite)
    with tempfile.TemporaryDirectory() as folder:
        found = _installation(requirement, action, Path(folder))
        made = starter.files(hooks_folder(), found, config)
        wheel = [found.requirement[2:]] if found.wheel is not None else []
        for name in (*made, *wheel):
            _check_inside(root, name)
        # What stays as it is may hold changes of somebody's own: those are not committed.
        own_changes = bool(repository.text("status", "--porcelain", "--", starter.IGNORE))
        written = [name for name, wanted in made.items() if _write(root, name, wanted, overwrite=overwrite)]
        if found.wheel is not None:
            (root / wheel[0]).unlink(missing_ok=True)  # it may be a link
            shutil.copyfile(found.wheel, root / wheel[0])
            echo(f"written  {wheel[0]} (this publisher, which no index has)")
            made |= {wheel[0]: ""}
    if chosen is not None and chosen.path is not None:
        remember(chosen.path, os.environ)
        echo(f"found    {chosen.path}: by its sha256, on this machine; elsewhere PUBLISHER_MODELS names its folder")
    if not found.action:
        echo("no workflows: this installation does not know its action; --action OWNER/REPO@COMMIT writes them")
    if own_changes:
        written = [name for name in written if name != starter.IGNORE]
    own = [name for name in (chosen.source if chosen is not None else "", suite) if name and (root / name).is_file()]
    if commit:
        done = commit_files(root, [*written, *wheel, *own], "Publish benchmarks")
        echo("committed" if done else "committed already")
    echo("next:")
    for step in starter.next_steps(root, site, own, made, committed=commit):
        echo(f"  {step}".rstrip())


def _installation(requirement: str, action: str, folder: Path) -> adopt.Installation:
    """Return what other machines install: what was asked for, or what this machine has."""
    address = action.replace("@", f"/{adopt.ACTION}@") if action else ""
    if requirement:
        return adopt.Installation(requirement, action=address)
    found = adopt.installation(adopt.direct_url(), folder)
    return adopt.Installation(found.requirement, found.wheel, address or found.action)


def _check_inside(root: Path, name: str) -> None:
    """Raise UsageError where a folder on the way to a file is a link that leads out of the repository."""
    if not (root / name).parent.resolve().is_relative_to(root.resolve()):
        raise UsageError(f"{name} would be written outside the repository: a folder on its way is a link")


def _write(root: Path, name: str, wanted: str, *, overwrite: bool) -> bool:
    """Write a file, or say why it stays as it is; return whether it has the wanted contents now."""
    target = root / name
    there = target.read_bytes()[:LARGEST].decode(errors="replace") if target.is_file() else None
    if name == starter.IGNORE and there and target.stat().st_size <= LARGEST:
        # Of this file only a line is ours.
        wanted, overwrite = starter.ignoring(there), True
    if there == wanted:
        echo(f"same     {name}")
    elif there is None or overwrite:
        atomic_write(target, wanted.encode(), mode=0o755 if name in EXECUTABLE else 0o644)
        echo(f"written  {name}")
    else:
        echo(f"kept     {name}; --overwrite would change it:")
        echo(starter.difference(name, there, wanted))
        return False
    return True


def hooks_folder() -> Path:
    """Return where the scripts are: beside the package in a checkout, inside it when installed."""
    inside = Path(str(resources.files("publisher"))) / "hooks"
    beside = Path(__file__).parents[2] / "hooks"
    for folder in (inside, beside):
        if (folder / "netlify-build").is_file():
            return folder
    raise UsageError(
        f"this installation of publisher {__version__} lacks its hooks",
        hint="pip install --force-reinstall snapshot-publisher",
    )
