"""Groups of commands: their help cuts no sentence off, and a misspelt name is told with the one that was meant."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING

import click

from publisher.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping

LONGEST = 1000
"""Characters of a command's first sentence: more than any has."""


class Commands(click.Group):
    """A group whose help gives each command's first sentence whole."""

    def sections(self, ctx: click.Context) -> Mapping[str, Mapping[str, str]]:
        """Return the commands with their sentences, by the heading under which they stand."""
        found = [(name, self.get_command(ctx, name)) for name in self.list_commands(ctx)]
        return {
            "Commands": {
                name: one.get_short_help_str(LONGEST) for name, one in found if one is not None and not one.hidden
            }
        }

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write every command with its whole sentence; the columns of all sections are aligned."""
        sections = self.sections(ctx)
        width = max(len(name) for commands in sections.values() for name in commands)
        for heading, commands in sections.items():
            with formatter.section(heading):
                formatter.write_dl([(name.ljust(width), text) for name, text in commands.items()])

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find a command by its name; UsageError with the closest one where there is none."""
        name = args[0]
        if self.get_command(ctx, name) is None and not name.startswith("-"):
            close = difflib.get_close_matches(name, self.list_commands(ctx), 1)
            raise UsageError(
                f"{ctx.command_path} has no command {name[:80]!r}" + (f"; did you mean {close[0]!r}?" if close else ""),
                hint=f"{ctx.command_path} {close[0]} --help" if close else f"{ctx.command_path} --help",
            )
        return super().resolve_command(ctx, args)


def pattern(ctx: click.Context) -> str:
    """Return how a command is typed, with what it cannot do without: publisher accept RUN --reason WHY."""
    arguments, options = [], []
    for parameter in ctx.command.params:
        if not parameter.required:
            continue
        if isinstance(parameter, click.Argument):
            arguments.append(parameter.make_metavar(ctx))
        else:
            options += [max(parameter.opts, key=len), parameter.make_metavar(ctx)]
    return " ".join([ctx.command_path, *arguments, *options])
