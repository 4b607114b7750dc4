"""`publisher init`: the files that a repository needs."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

import click

from publisher import __version__
from publisher.cli.shared import open_project
from publisher.cli.terminal import echo
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
