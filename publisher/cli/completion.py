"""`publisher completion`: what makes a shell complete commands and options."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

from publisher.cli.terminal import echo
from publisher.errors import UsageError

SHELLS = ("bash", "zsh", "fish")
VARIABLE = "_PUBLISHER_COMPLETE"
"""What click asks for completions by, derived from the program's name."""


@click.command("completion")
@click.argument("shell", type=click.Choice(SHELLS))
@click.pass_context
def command(ctx: click.Context, shell: str) -> None:
    """Print a script that completes publisher's commands and options in SHELL: bash, zsh or fish.

    bash:  publisher completion bash >> ~/.bashrc

    zsh:   publisher completion zsh >> ~/.zshrc

    fish:  publisher completion fish > ~/.config/fish/completions/publisher.fish
    """
    found = get_completion_class(shell)
    if found is None:
        raise UsageError(f"there is no completion for {shell}", hint=f"there is for {', '.join(SHELLS)}")
    echo(found(ctx.find_root().command, {}, "publisher", VARIABLE).source())
