"""Answers that are classes: confusion, F1 and AUC, from counting to the record of a run."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from publisher.errors import ConfigError
from publisher.quality.classes import Named, confusion, macro_auc, macro_f1
from tests.measuring import Parrot, job, run

if TYPE_CHECKING:
    from pathlib import Path

    from publisher.graders.code.sandbox import Sandbox
    from tests.made import GitFolder

SEEN = [
    *(("a", "cat", "cat"), ("b", "cat", "cat"), ("c", "cat", "dog")),
    *(("d", "dog", "dog"), ("e", "dog", ""), ("f", "bird", "dog")),
]
NAMED = [Named(*row) for row in SEEN]


def test_classes_are_counted_by_what_was_expected_and_named() -> None:
    """An answer that names none has a column of its own."""
    assert confusion(NAMED) == {"bird": {"dog": 1}, "cat": {"cat": 2, "dog": 1}, "dog": {"": 1, "dog": 1}}


def test_f1_is_the_mean_over_classes() -> None:
    """Cat 2·2/(3+2), dog 2·1/(2+3), bird 0."""
    assert macro_f1(confusion(NAMED)) == pytest.approx(100 * (4 / 5 + 2 / 5 + 0) / 3)


def test_a_class_that_is_only_named_counts_as_never_right() -> None:
    """As in scikit-learn: the mean is over the classes that occur on either side."""
    assert macro_f1({"cat": {"cat": 1, "dog": 1}}) == pytest.approx(100 * (2 / 3 + 0) / 2)


def test_auc_is_the_chance_that_a_member_has_more_votes() -> None:
    """The members' shares of votes are 1 and 1/2, the others' 1/2 and 0: 3.5 of 4 pairs, in either class's view."""
    votes = {"a": ("y", "yy"), "b": ("y", "yn"), "c": ("n", "yn"), "d": ("n", "nn")}
    named = [Named(name, expected, found) for name, (expected, words) in votes.items() for found in words]
    assert macro_auc(named) == pytest.approx(87.5)
    assert macro_auc([Named("a", "y", "y")]) is None


PROBLEMS = [("film", "good"), ("book", "bad"), ("play", "good"), ("song", "bad")]
SUITE = "".join(
    json.dumps({"id": name, "problem": f"Is the {name} good?", "answer": label}) + "\n" for name, label in PROBLEMS
)


def test_a_record_has_the_confusion_of_its_classes(repository: GitFolder, tmp_path: Path) -> None:
    """With F1 and AUC as metrics that rules can use."""
    answers = {"film": "Answer: good", "book": "Good.", "play": "I do not know", "song": r"\boxed{bad}"}
    wanted = job(repository, SUITE.encode(), grader="choice:labels=good|bad")
    result = run(wanted, tmp_path, start=Parrot("", answers)).record.results[0]
    assert result.classes == {"bad": {"bad": 2, "good": 2}, "good": {"": 2, "good": 2}}
    assert result.metrics["macro-f1"].value == pytest.approx(100 * (2 / 4 + 4 / 6) / 2)
    assert result.metrics["auc"].value == 62.5
    assert (result.score, result.pass_at["1"]) == (50.0, 50.0)


def test_other_suites_have_none(repository: GitFolder, tmp_path: Path) -> None:
    """A number is no class."""
    result = run(job(repository), tmp_path, start=Parrot(r"\boxed{42}")).record.results[0]
    assert (result.classes, "macro-f1" in result.metrics) == ({}, False)


def test_a_run_is_graded_by_a_file_of_its_commit(repository: GitFolder, tmp_path: Path, sandbox: Sandbox) -> None:
    """The file is read from the commit, and its digest is in the record and in the fingerprint."""
    versions = set()
    for letters in ("goodbad", "badgood"):
        repository.commit({"own.py": f"def check(answer, expected):\n    return answer in '{letters}'\n"})
        record = run(
            job(repository, SUITE.encode(), grader="python:own.py:check"), tmp_path, start=Parrot("good")
        ).record
        versions.add((record.suites[0].grader_version, record.fingerprint))
        assert record.results[0].score == 100.0
    assert len(versions) == 2
    with pytest.raises(ConfigError, match=r"names other\.py, which the commit has not"):
        run(job(repository, SUITE.encode(), grader="python:other.py:check"), tmp_path, start=Parrot("good"))
    assert sandbox
