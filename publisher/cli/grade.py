"""`publisher grade`: check a grader on pairs of completion and expected answer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from publisher.cli.terminal import echo, echo_json
from publisher.errors import GraderError, UsageError
from publisher.graders import make
from publisher.graders.checking import Checked, Report, check, read_pairs, report

_SHOWN = 20


@click.command("grade")
@click.argument("file", type=click.Path(path_type=Path), metavar="FILE.jsonl")
@click.option(
    "--grader", "spec", required=True, metavar="NAME[:OPTIONS]", help="Such as math or numeric:relative=0.01."
)
@click.option("--json", "as_json", is_flag=True, help="Print every pair's outcome as JSON.")
@click.pass_context
def command(ctx: click.Context, file: Path, spec: str, as_json: bool) -> None:
    """Grade the pairs of `prediction` and `gold` in FILE.jsonl, without a model.

    Where a line says what is `expected` (true or false), the outcomes are counted against it.
    """
    folder = Path(ctx.find_root().obj["repo"])
    grader = make(spec, lambda path: _read(folder / path))
    if not file.is_file():
        raise UsageError(f"there is no file {file}", hint="publisher grade --grader math FILE.jsonl")
    pairs = read_pairs(file, grader)
    with grader:
        checked = check(grader, pairs)
    found = report(checked)
    if as_json:
        echo_json(_document(spec, grader.version, found, checked))
    else:
        for line in _lines(spec, grader.version, found):
            echo(line)
    errors = [one for one in checked if one.grade.outcome == "error"]
    if errors:
        count = "1 pair" if len(errors) == 1 else f"{len(errors)} pairs"
        raise GraderError(
            f"{count} of {len(pairs)} could not be graded; {file}:{errors[0].pair.line}: {_why(errors[0])}"
        )


def _read(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except OSError:
        return None


def _lines(spec: str, version: str, found: Report) -> list[str]:
    """Return the report as it is read on a terminal."""
    total = sum(found.counts.values())
    counts = ", ".join(f"{count} {outcome}" for outcome, count in found.counts.items() if count)
    lines = [f"grader {spec}, version {version}", f"{total} pairs: {counts}"]
    if found.confusion:
        rows = [("expected right", "true_right", "false_wrong"), ("expected wrong", "false_right", "true_wrong")]
        lines += ["", f"{'':<16}{'right':>8}{'not right':>12}"]
        lines += [f"{name:<16}{found.confusion[right]:>8}{found.confusion[wrong]:>12}" for name, right, wrong in rows]
        lines += [f"{'error':<16}{found.confusion['error']:>8}"] if found.confusion["error"] else []
    for one in found.disagreements[:_SHOWN]:
        wanted = "right" if one.pair.expected else "wrong"
        name = f" ({one.pair.id})" if one.pair.id else ""
        lines.append(f"line {one.pair.line}{name}: {one.grade.outcome}, expected {wanted}: {_why(one)}")
    if len(found.disagreements) > _SHOWN:
        lines.append(f"… and {len(found.disagreements) - _SHOWN} more; --json has all of them")
    return lines


def _why(one: Checked) -> str:
    """Return the grader's reason, or else the answer that it saw."""
    return one.grade.reason[:200] or f"the answer was {one.grade.answer[:80]!r}"


def _document(spec: str, version: str, found: Report, checked: list[Checked]) -> dict[str, Any]:
    """Return the report as data."""
    pairs = [
        {
            "line": one.pair.line,
            "id": one.pair.id,
            "outcome": one.grade.outcome,
            "answer": one.grade.answer,
            "reason": one.grade.reason,
            "expected": one.pair.expected,
        }
        for one in checked
    ]
    return {
        "grader": spec,
        "version": version,
        "counts": found.counts,
        "confusion": found.confusion or None,
        "pairs": pairs,
    }
