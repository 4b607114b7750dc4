"""The options by which `log` and `snapshots` choose what they list."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, get_args

import click

from publisher.publishing.listing import STATES
from publisher.schema import VerdictWord

if TYPE_CHECKING:
    from collections.abc import Callable

VERDICTS = (*get_args(VerdictWord), "unreadable")
_OPTIONS = (
    click.option("--suite", help="Only runs of this suite, with its score (default: the headline suite's)."),
    click.option("--tier", help="Only runs of this tier."),
    click.option(
        "--verdict",
        type=click.Choice(VERDICTS),
        metavar="VERDICT",
        help=f"Only runs with this verdict: {', '.join(VERDICTS)}.",
    ),
    click.option(
        "--state",
        type=click.Choice(STATES),
        metavar="STATE",
        help=f"Only runs in this state: {', '.join(STATES)}.",
    ),
    click.option("--branch", help="Only runs measured on this branch; older records do not know theirs."),
    click.option("--label", help="Only runs with this label, such as kept, passed-full, rolled-back or your own."),
    click.option("--since", metavar="DATE", help="Only runs that began on this date or later (UTC)."),
    click.option("--until", metavar="DATE", help="Only runs that began on this date or earlier (UTC)."),
)


def filter_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the options whose names are the fields of `Filters`; those that are not typed are None."""
    for option in reversed(_OPTIONS):
        function = option(function)
    return function
