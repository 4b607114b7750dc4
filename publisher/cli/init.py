"""`publisher init`: the files that a repository needs."""

from __future__ import annotations

import re
from importlib import resources
from pathlib import Path

import click

from publisher import __version__
from publisher.cli.shared import open_project
from publisher.cli.terminal import echo
from publisher.config import SITE_NAME
from publisher.errors import UsageError
from publisher.files import atomic_write

FILES = {
    "publisher.toml": "starter/publisher.toml",
    "netlify.toml": "starter/netlify.toml",
    ".github/workflows/publish.yml": "starter/publish.yml",
    ".github/workflows/verify.yml": "starter/verify.yml",
    "hooks/netlify-build": "netlify-build",
}


@click.command("init")
@click.option("--site", required=True, help="The Netlify site's name: SITE in SITE.netlify.app.")
@click.pass_context
def command(ctx: click.Context, site: str) -> None:
    """Write publisher.toml, netlify.toml, the build script and the workflows, leaving files that exist alone."""
    if len(site) > 37 or not re.fullmatch(SITE_NAME, site):
        raise UsageError(
            f"--site {site!r} cannot be a Netlify site's name", hint="use a-z, 0-9 and -, up to 37 characters"
        )
    root = open_project(ctx).repository.root
    source = hooks_folder()
    for name, origin in FILES.items():
        target = root / name
        if target.exists():
            echo(f"kept     {name} (it exists)")
            continue
        text = (source / origin).read_text(encoding="utf-8").replace('site = "SITE"', f'site = "{site}"')
        atomic_write(target, text.encode(), mode=0o755 if origin == "netlify-build" else 0o644)
        echo(f"written  {name}")
    echo("next: adapt publisher.toml, commit, then  publisher bench  and  publisher gate")


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
