from __future__ import annotations

import random
import time

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from publisher.gate.baseline import Tally
from publisher.gate.changes import changes
from publisher.gate.compare import compare, flips
from publisher.publishing.difference import comparison_lines
from publisher.schema import Counts
from publisher.words import word_diff
from tests.gate_cases import drawn, run_of


def test_two_runs_are_tested_pair_by_pair() -> None:
    """Where one sample each is compared, the test is McNemar's: 6 lost and 1 gained of 30 is p = 0.07 with mid-p."""
    before, after = run_of(1, [1] * 20 + [0] * 10, 1), run_of(2, [0] * 6 + [1] * 15 + [0] * 9, 1)
    (suite,) = compare(after, before).suites
    assert suite.test == "exact McNemar test over 30 problems"
    assert suite.difference == pytest.approx(-100 * 5 / 30)
    # The binomial tail of 1 or fewer of 7, half of the probability of exactly 1 taken off, twice.
    assert suite.p_value == pytest.approx(2 * (1 + 7 / 2) / 2**7)
    assert suite.meaning == "noise"
    assert suite.interval is not None
    assert suite.interval.low < suite.difference < suite.interval.high


def test_a_clear_difference_says_which_way_it_went() -> None:
    """The same loss is worse from one side and better from the other."""
    good, bad = run_of(1, [14] * 30, 16), run_of(2, [9] * 30, 16)
    assert compare(bad, good).suites[0].meaning == "worse"
    assert compare(good, bad).suites[0].meaning == "better"


def test_problems_that_turned_come_with_their_rates() -> None:
    """Most right before and most wrong now, or a rate that fell by half: each with its counts, the clearest first."""
    base = {"s/a": Tally(9, 10), "s/b": Tally(10, 10), "s/c": Tally(6, 10), "s/d": Tally(1, 10), "s/e": Tally(9, 10)}
    new = {"s/a": Tally(0, 10), "s/b": Tally(5, 10), "s/c": Tally(4, 10), "s/d": Tally(8, 10), "s/e": Tally(8, 10)}
    found = flips(new, base)
    assert [one.problem for one in found] == ["a", "d", "b", "c"]
    assert (found[0].base_right, found[0].base_drawn, found[0].right, found[0].drawn) == (9, 10, 0, 10)


def test_a_comparison_with_itself_finds_nothing() -> None:
    """No difference, no turned problem, no changed setting."""
    run = run_of(1, [3] * 30, 8)
    found = compare(run, run)
    assert (found.suites[0].difference, found.suites[0].meaning, found.changes) == (0, "noise", [])
    assert not found.suites[0].turned_wrong


def test_other_problems_are_not_compared() -> None:
    """A suite whose problems are others now gets no test, and says so."""
    run = run_of(1, [3] * 30, 8)
    score = msgspec.structs.replace(run.line.scores["s"], suite="0" * 64)
    other = type(run)(msgspec.structs.replace(run.line, scores={"s": score}), run.record)
    suite = compare(run, other).suites[0]
    assert (suite.meaning, suite.interval, suite.p_value) == ("other", None, None)


def test_records_without_counts_are_compared_as_independent_scores() -> None:
    """An older record that has errors but no counts by problem still gets a difference and an interval."""
    new = run_of(1, [2, 4] * 15, 8)
    old = run_of(2, [5, 7] * 15, 8, result={"counts": Counts(right=180, wrong=50, error=10), "scored_by_problem": {}})
    suite = compare(new, old).suites[0]
    assert (suite.meaning, suite.interval and suite.interval.method) == ("worse", "normal")
    assert "independent" in suite.test


def test_unchanged_runs_differ_clearly_in_one_of_twenty() -> None:
    """Of 400 pairs of runs with the same rates about 5 % are called clearly better or worse, and no more."""
    rates, draw = [0.1, 0.5, 0.9] * 10, random.Random(4)  # noqa: S311 - a simulation
    runs = [run_of(1, drawn(rates, 8, draw), 8) for _ in range(800)]
    found = [compare(one, other).suites[0].meaning for one, other in zip(runs[::2], runs[1::2], strict=True)]
    assert 0.02 <= 1 - found.count("noise") / len(found) <= 0.08


def test_every_kind_of_setting_is_named() -> None:
    """Model digest, quantization, a prompt's words, sampling, the suite's grader, engine and machine."""
    base = run_of(1, [3] * 4, 8).record
    other = msgspec.structs.replace(
        base,
        model=msgspec.structs.replace(base.model, sha256="9" * 64, quantization="Q2_K"),
        prompt=msgspec.structs.replace(base.prompt, system="Be careful and brief."),
        sampling=msgspec.structs.replace(base.sampling, temperature=0.1),
        suites=[msgspec.structs.replace(base.suites[0], grader_version="77")],
        engine=msgspec.structs.replace(base.engine, build="b9999"),
        machine=msgspec.structs.replace(base.machine, gpu="NVIDIA H200"),
        conditions={**base.conditions, "kv_type": "q8_0"},
    )
    found = {(change.part, change.name): change for change in changes(other, base)}
    assert list(dict.fromkeys(part for part, _ in found)) == [
        "model",
        "prompt",
        "sampling",
        "suite",
        "engine",
        "machine",
    ]
    assert found["model", "quantization"].after == "Q2_K"
    assert found["engine", "kv_type"].after == "q8_0"
    assert "".join(one.text for one in found["prompt", "system"].passages if one.kind != "gone") == other.prompt.system


@given(st.text(max_size=60), st.text(max_size=60))
def test_a_word_diff_holds_both_texts(before: str, after: str) -> None:
    """What stayed and what went is the one text, what stayed and what came the other."""
    found = word_diff(before, after)
    assert "".join(one.text for one in found if one.kind != "new") == before
    assert "".join(one.text for one in found if one.kind != "gone") == after


def test_a_word_diff_marks_words_and_single_chinese_characters() -> None:
    """Words are whole; in a script without spaces a character is one."""
    marked = [(one.kind, one.text) for one in word_diff("a helpful friend", "a careful, terse friend")]
    assert marked == [("same", "a "), ("gone", "helpful"), ("new", "careful, terse"), ("same", " friend")]
    assert [one.text for one in word_diff("把最终答案", "把答案") if one.kind == "gone"] == ["最终"]


def test_a_word_diff_of_hostile_texts_is_bounded() -> None:
    """A megabyte of words against another takes no longer than its bound allows."""
    started = time.process_time()
    found = word_diff("a b " * 250_000, "b a a " * 170_000)
    assert [one.kind for one in found][:2] == ["gone", "new"]
    word_diff("a b c " * 130, "c b a " * 130)
    assert time.process_time() - started < 4


def test_the_terminal_shows_no_control_character_of_a_strangers() -> None:
    """Names, subjects and prompts of the worst kind come out spelled."""
    evil = "x\x1b[2J\u202e\n::error::"
    base = run_of(1, [1] * 30, 1)
    commit = msgspec.structs.replace(base.record.commit, subject=evil)
    prompt = msgspec.structs.replace(base.record.prompt, system=evil)
    other = run_of(2, [0] * 30, 1, commit=commit, prompt=prompt)
    shown = "\n".join(comparison_lines(compare(other, base)))
    assert "\x1b" not in shown
    assert "\u202e" not in shown
    assert "clearly worse" in shown
    assert "turned wrong (30)" in shown
