from __future__ import annotations

import pytest

from publisher.config import BestRatio, Threshold, parse
from publisher.errors import ConfigError
from publisher.graders import GRADERS

GOOD = """
[model]
name = "m"
source = "builtin:abacus"
[suites.a]
source = "a.jsonl"
samples = 4
[suites.b]
source = "b.jsonl"
[tiers.quick]
suites = { a = { samples = 1 } }
[tiers.full]
suites = ["a", "b"]
publish = true
[gate]
headline = "b"
rules = [{ rule = "threshold", min = 50 }, { rule = "best-ratio", ratio = 0.97, suite = "a" }]
"""


def mistakes(text: str) -> str:
    """Return the message for a configuration that must be refused."""
    with pytest.raises(ConfigError) as caught:
        parse(text.encode())
    return caught.value.message


def test_a_good_file_becomes_a_config() -> None:
    """Every section arrives with its types and defaults."""
    config = parse(GOOD.encode())
    assert config.gate.rules == [Threshold(min=50), BestRatio(ratio=0.97, suite="a")]
    assert (config.model.context, config.headline, config.publishing_tier) == (4096, "b", "full")


def test_a_tier_overrides_the_samples_of_a_suite() -> None:
    """The quick tier takes one sample where the suite says four."""
    config = parse(GOOD.encode())
    assert config.tier("quick") == {"a": 1}
    assert config.tier("full") == {"a": 4, "b": 1}


def test_an_unknown_tier_is_refused_with_a_suggestion() -> None:
    """A tier with a typing error names the one that was meant."""
    with pytest.raises(ConfigError, match="did you mean 'quick'"):
        parse(GOOD.encode()).tier("quik")


def test_all_mistakes_are_reported_at_once() -> None:
    """Unknown keys, wrong types, bounds and unknown rules come in one message, each with its place."""
    bad = GOOD.replace('source = "builtin:abacus"', "sorce = 1\ncontext = 'many'").replace("min = 50", "min = 400")
    message = mistakes(bad.replace("best-ratio", "best-ration"))
    assert "4 mistakes" in message or "5 mistakes" in message
    for part in (
        "model.sorce: unknown key; did you mean 'source'?",
        "model.source: missing",
        "model.context",
        "gate.rules[0].min",
        "did you mean 'best-ratio'?",
    ):
        assert part in message


def test_a_name_that_points_nowhere_is_refused() -> None:
    """A headline, a rule or a tier that names no suite is a mistake."""
    assert "gate.headline: no suite is called 'bb'" in mistakes(GOOD.replace('headline = "b"', 'headline = "bb"'))
    assert "tiers.full.suites: no suite is called 'c'" in mistakes(GOOD.replace('["a", "b"]', '["a", "c"]'))


def test_a_grader_that_nobody_registered_is_refused() -> None:
    """Every such suite is named, with the graders that there are, together with all other mistakes."""
    bad = GOOD.replace("samples = 4", 'samples = 0\ngrader = "maths"').replace('"b.jsonl"', '"b.jsonl"\ngrader = "x"')
    with pytest.raises(ConfigError) as caught:
        parse(bad.encode(), graders=GRADERS)
    assert f"suites.a.grader: 'maths' is none of {', '.join(GRADERS)}; did you mean 'math'?" in caught.value.message
    assert "suites.b.grader: 'x' is none of" in caught.value.message
    assert "suites.a.samples" in caught.value.message
    assert parse(GOOD.replace("samples = 4", 'grader = "new"').encode()).suites["a"].grader == "new"


def test_a_template_without_the_problem_is_refused() -> None:
    """A prompt that is the same for every problem measures nothing."""
    assert "{problem} does not occur" in mistakes(GOOD + '[prompt]\ntemplate = "hi"\n')


def test_what_is_fetched_needs_a_digest() -> None:
    """A model or a suite from elsewhere is refused without its sha256."""
    assert "model.sha256: required" in mistakes(GOOD.replace("builtin:abacus", "https://example.invalid/m.gguf"))
    assert "suites.a.sha256: required" in mistakes(GOOD.replace("a.jsonl", "hf:o/r@v/a.jsonl"))


@pytest.mark.parametrize("text", ["[model", "\x00", "model = 3", ""])
def test_anything_else_is_a_config_error(text: str) -> None:
    """Whatever the file holds, the answer is our message."""
    assert mistakes(text)


def test_no_file_that_is_not_utf8() -> None:
    """Bytes that are not UTF-8 are our message too."""
    with pytest.raises(ConfigError, match="not TOML"):
        parse(b"\xff\xfe")
