"""`publisher review`: a person rates answers of a snapshot in the terminal."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import click
import msgspec

from publisher.cli import offers
from publisher.cli.shared import open_project
from publisher.cli.terminal import ask, echo, echo_json, width
from publisher.ledger import canaries
from publisher.publishing.answers import wrapped
from publisher.publishing.find import find_snapshot
from publisher.publishing.project import now
from publisher.publishing.report import one_line
from publisher.publishing.reviewing import LONGEST_NOTE, Sitting, check_reviewer, preference, tasks, told
from publisher.schema import Review

if TYPE_CHECKING:
    from collections.abc import Sequence

    from publisher.ledger.history import Run
    from publisher.publishing.project import Project
    from publisher.publishing.reviewing import Shown, Task

HELP = "1 to 5 rates it (5 is best), w behind it says that it is wrong, further words are a note; s skips, q quits"
_RATING = re.compile(r"([1-5])\s*(w?)(?:\s+(.*))?\Z", re.DOTALL)


@click.command("review")
@click.argument("snapshot", shell_complete=offers.snapshots)
@click.option("--sample", default=20, show_default=True, type=click.IntRange(1, 1000), help="How many problems.")
@click.option("--against", default="", metavar="SNAPSHOT", help="Beside another's answers, not knowing which is which.")
@click.option("--suite", default="", help="Only this suite's answers.")
@click.option("--as", "name", default="", metavar="NAME", help="Who rates (default: git's user.name).")
@click.option("--report", is_flag=True, help="Rate nothing; print what reviewers said, and how far they agree.")
@click.option("--json", "as_json", is_flag=True, help="Print that report as JSON.")
@click.pass_context
def command(
    ctx: click.Context, snapshot: str, sample: int, against: str, suite: str, name: str, report: bool, as_json: bool
) -> None:
    """Rate answers of SNAPSHOT from 1 to 5; everybody is shown the same ones, and what was rated is not asked again.

    A sitting may be left with q or Ctrl-C: what was said by then enters the ledger with the reviewer's name.
    """
    project = open_project(ctx)
    project.ledger.sync()
    runs = [find_snapshot(project, wanted) for wanted in (snapshot, against) if wanted]
    if not (report or as_json):
        _sit(project, runs, check_reviewer(name or project.who), count=sample, suite=suite)
    _report(project, runs, as_json=as_json)


def _sit(project: Project, runs: Sequence[Run], reviewer: str, *, count: int, suite: str) -> None:
    """Show what is left to be rated, and put what was said into the ledger, however the sitting ends."""
    sitting = Sitting.open(project, reviewer)
    found = tasks(project, runs, reviewer, count=count, suite=suite)
    left = sitting.left(found)
    echo(f"{len(left)} of {len(found)} problems are left for {reviewer}; {HELP}" if left else "everything is rated")
    try:
        for number, task in enumerate(left, 1):
            if not _rated(sitting, task, f"{number} of {len(left)}"):
                break
    except KeyboardInterrupt:
        echo("")
    entered = sitting.enter()
    echo(f"{entered} rating{'' if entered == 1 else 's'} by {reviewer} in the ledger")


def _rated(sitting: Sitting, task: Task, where: str) -> bool:
    """Show one task and take its ratings; False where the reviewer leaves.

    The answers of a comparison are rated one after the other and kept together: a half of one says nothing.
    """
    sample = task.answers[0].sample
    columns = width()
    echo(f"\n── {where} · {one_line(sample.suite)} · {one_line(sample.problem, 80)} ──")
    for line in wrapped(sample.statement, columns):
        echo(line)
    if sample.expected:
        echo(f"expected  {one_line(sample.expected, 200)}")
    said: list[Review] = []
    for letter, shown in zip("AB", task.answers, strict=False):
        echo(f"\n── answer {letter} ──" if task.is_blind else "\n── answer ──")
        for line in wrapped(shown.sample.text, columns):
            echo(line)
    for letter, shown in zip("AB", task.answers, strict=False):
        answer = _asked(f"answer {letter}: " if task.is_blind else "rating: ")
        if answer is None:
            return False
        if not answer:
            return True
        said.append(_review(sitting.reviewer, shown, answer, blind=task.is_blind))
    for review in said:
        sitting.add(review)
    return True


def _asked(prompt: str) -> str | None:
    """Return a rating as it was typed, empty for one that is skipped, None for the end."""
    while True:
        said = ask(prompt)
        if said is None or said.strip().lower() in {"q", "quit"}:
            return None
        if said.strip().lower() in {"s", "skip"}:
            return ""
        if _RATING.match(said.strip()):
            return said.strip()
        echo(HELP)


def _review(reviewer: str, shown: Shown, typed: str, *, blind: bool) -> Review:
    match = _RATING.match(typed)
    rating, wrong, note = match.groups() if match else ("0", "", "")
    sample = shown.sample
    return Review(
        run_id=shown.run_id,
        suite=sample.suite,
        problem=sample.problem,
        seed=sample.seed,
        reviewer=reviewer,
        rating=int(rating),
        wrong=bool(wrong),
        # The ledger is shared, so no word about a private answer goes there.
        note="" if shown.private else " ".join((note or "").split())[:LONGEST_NOTE],
        blind=blind,
        time=now(),
    )


def _report(project: Project, runs: Sequence[Run], *, as_json: bool) -> None:
    """Print what was said of each run, how far the reviewers agree, and which of two they preferred."""
    said = [canaries.reviews(project.ledger, run.run_id) for run in runs]
    found = [told(one) for one in said]
    preferred = preference(*said) if len(said) > 1 else None
    if as_json:
        names = [run.line.snapshot for run in runs]
        shown = [{"snapshot": name, **msgspec.to_builtins(one)} for name, one in zip(names, found, strict=True)]
        echo_json({"snapshots": shown, "preference": msgspec.to_builtins(preferred) if preferred else None})
        return
    for run, one in zip(runs, found, strict=True):
        mean = "not rated" if one.mean is None else f"{one.mean:.2f} on average of {one.ratings} ratings"
        wrong = f", {one.wrong} said to be wrong" if one.wrong else ""
        echo(f"{run.line.snapshot}: {mean}{wrong}")
        for reviewer, count in sorted(one.reviewers.items()):
            echo(f"  {one_line(reviewer, 60)}: {count}")
        if one.alpha is not None:
            echo(f"  agreement {one.alpha:.2f} (Krippendorff's alpha, ordinal) on {one.shared} answers rated twice")
    if preferred is not None:
        echo(f"blind: {preferred.better} better, {preferred.alike} alike, {preferred.worse} worse than the other")
