"""All of HumanEval through the sandbox: its references, empty bodies, and references with small mistakes."""

from __future__ import annotations

import json
import os
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from publisher.graders.code import programs
from publisher.graders.code.programs import Cases
from tests.mutants import mutants

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from publisher.graders.code.sandbox import Sandbox

pytestmark = [pytest.mark.conformance, pytest.mark.timeout(1800)]


@pytest.fixture
def problems(shared: Path) -> list[dict[str, str]]:
    """Return the 164 problems."""
    return [json.loads(line) for line in (shared / "data" / "humaneval.jsonl").read_text().splitlines()]


def outcomes(sandbox: Sandbox, wanted: Sequence[tuple[dict[str, str], str]]) -> list[str]:
    """Return how each program fares at its problem."""

    def one(pair: tuple[dict[str, str], str]) -> str:
        row, body = pair
        tests = Cases(
            kind="python-tests", function=row["entry_point"], given=row["problem"], code=row["test"], check="check"
        )
        return programs.run(sandbox, body, tests).outcome

    with ThreadPoolExecutor(max_workers=len(os.sched_getaffinity(0))) as threads:
        return list(threads.map(one, wanted))


def test_every_reference_passes(sandbox: Sandbox, problems: list[dict[str, str]]) -> None:
    """The sandbox and the way tests are called take nothing from a right program."""
    found = outcomes(sandbox, [(row, row["answer"]) for row in problems])
    failed = [row["id"] for row, outcome in zip(problems, found, strict=True) if outcome != "right"]
    assert (len(found), failed) == (164, [])


def test_no_empty_body_passes(sandbox: Sandbox, problems: list[dict[str, str]]) -> None:
    """A function that returns nothing solves nothing."""
    assert set(outcomes(sandbox, [(row, "    pass\n") for row in problems])) == {"wrong"}


def test_of_each_references_mistakes_one_is_found(
    sandbox: Sandbox, problems: list[dict[str, str]], capsys: pytest.CaptureFixture[str]
) -> None:
    """Mistakes that no test of HumanEval notices are listed; they are the suite's gaps, not the sandbox's."""
    made = [
        (row, kind, program)
        for row in problems
        for kind, program in mutants(f"{row['problem']}{row['answer']}", row["entry_point"])
    ]
    found = outcomes(sandbox, [(row, program) for row, _, program in made])
    survivors = [(row["id"], kind) for (row, kind, _), outcome in zip(made, found, strict=True) if outcome == "right"]
    caught = {row["id"] for (row, _, _), outcome in zip(made, found, strict=True) if outcome == "wrong"}
    with capsys.disabled():
        print(f"\n{len(made)} mistakes, {len(survivors)} not noticed by the tests: {survivors}")  # noqa: T201 - the list is what the test is read for
    assert "error" not in found
    assert {row["id"] for row in problems} - caught == set()
