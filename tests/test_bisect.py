from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from publisher.publishing.bisection import Evidence, next_commit, weigh
from tests.made import GitFolder
from tests.project import Project, small_suite

if TYPE_CHECKING:
    from pathlib import Path

    import numpy.typing as npt

PROBLEMS, COMMITS = 20, 12


def evidence(culprit: int, rounds: int, *, drop: float = 0.5) -> Evidence:
    """Return noiseless evidence: all problems are solved with 80 % before the culprit and `drop` less from it on."""
    found = Evidence.empty(COMMITS, PROBLEMS)
    for commit in range(COMMITS):
        rate = 0.8 - (drop if commit >= culprit else 0.0)
        found.put(commit, [round(rate * rounds)] * PROBLEMS, [rounds] * PROBLEMS)
    return found


@pytest.mark.parametrize("culprit", [1, 5, COMMITS - 1])
def test_evidence_of_every_commit_names_the_culprit(culprit: int) -> None:
    """Where each commit was measured, the first bad one has nearly all of the probability."""
    shares = weigh(evidence(culprit, 10))[0]
    assert (int(shares.argmax()), shares.sum()) == (culprit, pytest.approx(1.0))
    assert shares[culprit] > 0.99


def test_without_evidence_every_commit_but_the_good_one_is_as_likely() -> None:
    """The prior is flat over all that can be the culprit."""
    shares = weigh(Evidence.empty(COMMITS, PROBLEMS))[0]
    assert shares[0] == 0.0
    assert shares[1:] == pytest.approx(np.full(COMMITS - 1, 1 / (COMMITS - 1)))


def test_the_last_commit_is_bad_by_assumption() -> None:
    """Where no other commit was measured, the ends alone tell nothing about those in between."""
    found = evidence(4, 10)
    found.right[1:-1] = found.drawn[1:-1] = 0
    assert weigh(found)[0][1:] == pytest.approx(np.full(COMMITS - 1, 1 / (COMMITS - 1)))


def test_the_ends_are_measured_before_a_commit_in_question_gets_ahead_of_them() -> None:
    """A commit can only be told from references: they come first where they have fewer samples."""
    found = Evidence.empty(COMMITS, PROBLEMS)
    for commit, rounds in ((0, 2), (COMMITS - 1, 4), (5, 8)):
        found.put(commit, [rounds // 2] * PROBLEMS, [rounds] * PROBLEMS)
    assert next_commit(found, weigh(found)[0]) in {0, COMMITS - 1}


def test_the_next_commit_halves_what_is_left() -> None:
    """With good references the commit nearest to even odds is measured."""
    found = evidence(6, 20)
    found.right[1:-1] = found.drawn[1:-1] = 0
    assert next_commit(found, weigh(found)[0]) == COMMITS // 2 - 1


def simulated(seed: int) -> bool:
    """Return whether a planted drop of 10 points among 32 commits is found within 600 rounds."""
    generator = np.random.default_rng(seed)
    before: npt.NDArray[np.float64] = generator.beta(0.74, 0.26, 30)
    after = np.clip(before - 0.1 * before, 0, 1)
    culprit = int(generator.integers(1, 32))
    found = Evidence.empty(32, 30)
    queue = [0, 31]
    for _ in range(150):
        for commit in queue:
            found.right[commit] += generator.binomial(4, after if commit >= culprit else before)
            found.drawn[commit] += 4
        shares = weigh(found)[0]
        if shares.max() > 0.95:
            break
        queue = [next_commit(found, shares)]
    return int(shares.argmax()) == culprit


def test_planted_drops_are_found() -> None:
    """Of ten simulated histories at least nine end at the culprit."""
    assert sum(simulated(seed) for seed in range(10)) >= 9


@pytest.mark.parametrize(("drop", "low", "high"), [(0.3, 0.0, 1e-6), (0.0, 0.8, 1.0), (-0.1, 0.95, 1.0)])
def test_a_score_that_did_not_drop_has_no_culprit(drop: float, low: float, high: float) -> None:
    """A drop rules out that there is none; a constant score makes it likely, and a rise nearly certain."""
    assert low <= weigh(evidence(5, 20, drop=drop))[1] <= high


def test_without_evidence_a_drop_is_as_likely_as_none() -> None:
    """The ends are measured even where a single commit lies between them."""
    assert weigh(Evidence.empty(2, PROBLEMS))[1] == pytest.approx(0.5)


CONFIG = """
[model]
name = "abacus"
source = "builtin:abacus@{checkpoint}"
context = 512
[model.sampling]
temperature = 1.0
max_tokens = {tokens}
[prompt]
system = "You are a helpful assistant."
template = "{{problem}} Let's think step by step and output the final answer within \\\\boxed{{}}."
[suites.small]
source = "small.jsonl"
public = true
"""


def make_history(path: Path) -> tuple[Project, str]:
    """Return a project and its culprit: six commits that change a limit, the fourth of which ships another model."""
    project, commits = Project(GitFolder.create(path / "work")), []
    for number in range(6):
        checkpoint = "final" if number < 3 else "early"
        files = {
            "publisher.toml": CONFIG.format(checkpoint=checkpoint, tokens=200 + number),
            "small.jsonl": small_suite(),
        }
        commits.append(project.folder.commit(files, f"Change {number}"))
    return project, commits[3]


@pytest.mark.model
def test_the_command_names_the_commit_that_shipped_the_wrong_checkpoint(tmp_path: Path) -> None:
    """Real commits, the real model: the culprit is named with its probability, and a rerun generates nothing anew."""
    project, culprit = make_history(tmp_path)
    good = project.folder.git("rev-list", "--max-parents=0", "HEAD")
    done = project.run("bisect", good, "--rounds", "1", "--json")
    assert done.code == 0, done.err
    found = done.json
    assert (found["commit"], found["sure"]) == (culprit, True)
    assert found["flips"], "problems turned wrong"
    again = project.run("bisect", good, "--rounds", "1", "--json").json
    assert (again["commit"], again["generated"]) == (culprit, 0)


def test_commits_that_change_nothing_of_what_is_measured_are_no_candidates(tmp_path: Path) -> None:
    """Two ends with the same model, prompt and engine are refused before anything is measured."""
    project, _ = make_history(tmp_path)
    project.folder.commit({"README.md": "words\n"}, "Write the manual")
    done = project.run("bisect", "HEAD~1", "HEAD")
    assert done.code == 2
    assert "nothing that decides the score differs" in done.err


def test_a_good_commit_that_is_no_ancestor_is_a_usage_error(tmp_path: Path) -> None:
    """The two ends must lie on one line of history."""
    project, _ = make_history(tmp_path)
    done = project.run("bisect", "HEAD", "HEAD~3")
    assert done.code == 2
    assert "not an older commit" in done.err


def test_a_confidence_that_is_no_number_is_a_usage_error(tmp_path: Path) -> None:
    """No probability reaches it: the bisection would take every sample that it may."""
    done = Project.create(tmp_path, remote=False).run("bisect", "HEAD", "--confidence", "nan")
    assert (done.code, "not a number" in done.err) == (2, True)


def test_a_good_commit_on_a_merged_branch_is_a_usage_error(tmp_path: Path) -> None:
    """What the branch lacks of the main line would look like a change between the two."""
    project, _ = make_history(tmp_path)
    main = project.folder.git("symbolic-ref", "--short", "HEAD")
    project.folder.git("checkout", "-q", "-b", "side", "HEAD~3")
    side = project.folder.commit({"side.md": "words\n"}, "Write on a branch")
    project.folder.git("checkout", "-q", main)
    project.folder.git("merge", "-q", "--no-ff", "-m", "Merge", "side")
    done = project.run("bisect", side, "HEAD")
    assert done.code == 2
    assert "from another branch" in done.err


@pytest.mark.model
def test_a_score_that_rose_is_a_usage_error(tmp_path: Path) -> None:
    """A better model at the end is no culprit, however sure one can be of where it came."""
    project = Project(GitFolder.create(tmp_path / "work"))
    for checkpoint in ("early", "final"):
        files = {"publisher.toml": CONFIG.format(checkpoint=checkpoint, tokens=200), "small.jsonl": small_suite()}
        project.folder.commit(files, checkpoint)
    done = project.run("bisect", "HEAD~1", "HEAD", "--rounds", "2")
    assert done.code == 2
    assert "did not drop" in done.err
