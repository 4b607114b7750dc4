"""`publisher bisect`: which commit made the score drop."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import click
import msgspec

from publisher.cli.progress import Watch
from publisher.cli.shared import open_project
from publisher.cli.terminal import echo, echo_json
from publisher.errors import ModelError, UsageError
from publisher.publishing.report import one_line, table

if TYPE_CHECKING:
    from publisher.publishing.bisect import Finding

INCONCLUSIVE = 4
_SHOWN = 10


@click.command("bisect")
@click.argument("good")
@click.argument("bad", default="HEAD", metavar="[BAD]")
@click.option("--suite", default="", help="The suite whose score dropped (default: the headline).")
@click.option(
    "--rounds", type=click.IntRange(1, 64), default=4, show_default=True, help="Samples per problem at a time."
)
@click.option(
    "--confidence", type=click.FloatRange(0.5, 0.999), default=0.95, show_default=True, help="How sure to be."
)
@click.option("--max-rounds", type=click.IntRange(2, 100_000), default=1000, show_default=True, help="When to give up.")
@click.option("--json", "as_json", is_flag=True, help="Print the finding as JSON.")
@click.pass_context
def command(
    ctx: click.Context, good: str, bad: str, suite: str, rounds: int, confidence: float, max_rounds: int, as_json: bool
) -> None:
    """Find the commit after GOOD, up to BAD (default: HEAD), that made the score drop.

    Answers are random, so each commit is measured only as far as it helps, and the result comes with its probability.
    Interrupted, the same command continues. Exit code 4 when --max-rounds are used up before anything is sure.
    """
    try:
        # --help must work without the extra.
        from publisher.publishing.bisect import Options, bisect  # noqa: PLC0415
    except ModuleNotFoundError as missing:
        message = f"publisher bisect needs the package {missing.name}"
        raise ModelError(message, hint="pip install 'snapshot-publisher[bench]'") from missing
    if math.isnan(confidence):
        raise UsageError("--confidence is not a number", hint="--confidence 0.95")
    project = open_project(ctx)
    options = Options(suite, rounds, confidence, max_rounds)
    with Watch() as watch:
        finding = bisect(project, good, bad, options, watch)
    if as_json:
        echo_json(_as_json(finding))
    else:
        echo("\n".join(_lines(finding)))
    ctx.exit(0 if finding.sure else INCONCLUSIVE)


def _as_json(finding: Finding) -> object:
    return {
        "commit": finding.culprit.commit,
        "subject": finding.culprit.subject,
        "probability": finding.probability,
        "sure": finding.sure,
        "skipped": list(finding.culprit.skipped),
        "others": [{"commit": one.commit, "probability": share} for one, share in finding.others],
        "samples": finding.samples,
        "generated": finding.generated,
        "measured": dict(finding.measured),
        "flips": msgspec.to_builtins(finding.flips),
    }


def _lines(finding: Finding) -> list[str]:
    """Return the finding for people."""
    culprit = finding.culprit
    word = "is the culprit" if finding.sure else "is the most likely culprit so far"
    lines = [f"{culprit.commit[:12]} {one_line(culprit.subject)} {word}: {finding.probability:.1%}"]
    lines += [f"  or a commit just before it that cannot be measured: {commit[:12]}" for commit in culprit.skipped]
    lines += [f"  {share:.1%} {one.commit[:12]} {one_line(one.subject)}" for one, share in finding.others]
    rows = [
        [one_line(flip.problem), f"{100 * flip.before:.0f} %", f"{100 * flip.after:.0f} %"]
        for flip in finding.flips[:_SHOWN]
    ]
    if rows:
        lines += ["", table(["problem", "right before", "right after"], rows)]
    lines += ["", f"{finding.samples} samples of {len(finding.measured)} commits, {finding.generated} of them new"]
    return lines
