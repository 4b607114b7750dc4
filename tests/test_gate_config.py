from __future__ import annotations

import pytest

from publisher.config import Budget, Regression, parse
from publisher.errors import ConfigError

TOML = """
[model]
name = "m"
source = "builtin:abacus"
[model.sampling]
temperature = {temperature}
[suites.s]
source = "s.jsonl"
samples = 8
[suites.t]
source = "t.jsonl"
[tiers.full]
suites = ["s", "t"]
publish = true
[tiers.quick.suites.s]
samples = 2
[gate]
{gate}
rules = [{rules}]
"""


def parsed(rules: str, gate: str = "", temperature: float = 0.7) -> object:
    """Return the rules of a configuration."""
    return parse(TOML.format(rules=rules, gate=gate, temperature=temperature).encode()).gate.rules


def test_rules_have_defaults() -> None:
    """A bare regression is the default policy's: harm of more than a point against eight runs."""
    assert parsed('{ rule = "regression" }') == [Regression(prove="harm", points=1.0, m=8)]
    assert parsed('{ rule = "budget", metric = "latency", limit = 2.5, suite = "*" }') == [
        Budget(metric="latency", limit=2.5, suite="*")
    ]


@pytest.mark.parametrize(
    ("rules", "message"),
    [
        ('{ rule = "threshold", min = 101 }', "points, from 0 to 100"),
        ('{ rule = "threshold", min = nan }', "gate.rules[0].min"),
        ('{ rule = "threshold", min = 0 }', "never rejects"),
        ('{ rule = "max-drop", points = 100 }', "never rejects"),
        ('{ rule = "relative", delta = 100.0 }', "never passes"),
        ('{ rule = "relative", delta = -100.0 }', "never rejects"),
        ('{ rule = "relative", delta = 1.0, percent = 2.0 }', "give delta or percent, not both"),
        ('{ rule = "regression", alpha = 0 }', "a probability: above 0, below 1"),
        ('{ rule = "regression", alpha = 1.0 }', "a probability: above 0, below 1"),
        ('{ rule = "regression", alpha = 0.05 }', "more than all tests of a commit may spend (gate.alpha is 0.01)"),
        ('{ rule = "regression", alpha = 0.01 }, { rule = "erosion" }', "leaves nothing for the other tests"),
        ('{ rule = "regression", max_samples = 4 }', "max_samples: 4 is below the 8 samples per problem"),
        ('{ rule = "regression", points = 100 }', "never rejects"),
        ('{ rule = "regression", prove = "gain", on_budget = "keep" }', "leaves nothing undecided"),
        ('{ rule = "regression", pooled = true, suite = "t" }', "suite has no meaning"),
        ('{ rule = "regression", suite = "u" }', "no suite is called 'u'"),
        ('{ rule = "regression", m = 0 }', "runs from 1 to 100"),
        ('{ rule = "regression", alpha = 1e-300 }', "gate.rules[0].alpha"),
        ('{ rule = "regression", effect = "warn" }', "gate.rules[0].effect"),
        ('{ rule = "budget", metric = "latency" }', "limit: missing (or percent)"),
        ('{ rule = "budget", metric = "beauty", limit = 1 }', "gate.rules[0].metric"),
        ('{ rule = "budget", metric = "truncated", limit = 100 }', "is never above 100"),
        ('{ rule = "budget", metric = "latency", limit = 0 }', "never passes"),
        ('{ rule = "budget", metric = "auc", limit = 101 }', "is never above 100, so this rule never passes"),
        ('{ rule = "budget", metric = "robustness", limit = 0 }', "never rejects"),
        ('{ rule = "budget", metric = "slice-gap", limit = 100 }', "is never above 100, so this rule never rejects"),
        ('{ rule = "budget", metric = "tokens-per-second", limit = 0 }', "never rejects"),
        ('{ rule = "budget", metric = "latency", limit = inf }', "gate.rules[0].limit"),
        ('{ rule = "regresion" }', "did you mean 'regression'?"),
    ],
)
def test_a_policy_that_cannot_do_its_work_is_rejected_at_load(rules: str, message: str) -> None:
    """What could never pass, never reject, or contradicts itself is one line of the list of mistakes."""
    with pytest.raises(ConfigError) as caught:
        parsed(rules)
    assert message in str(caught.value)


def test_more_samples_of_greedy_answers_are_a_mistake() -> None:
    """They are all alike, so they decide nothing."""
    assert parsed('{ rule = "regression", max_samples = 16 }')
    with pytest.raises(ConfigError, match="greedy answers are all alike"):
        parsed('{ rule = "regression", max_samples = 16 }', temperature=0.0)


def test_an_alert_may_have_any_alpha() -> None:
    """Only what blocks spends the commit's alpha."""
    assert parsed('{ rule = "regression", alpha = 0.2, effect = "alert" }')


@pytest.mark.parametrize("alpha", ["0", "1", "-0.5", "nan"])
def test_the_policys_alpha_is_a_probability(alpha: str) -> None:
    """Zero would never reject, one always."""
    with pytest.raises(ConfigError, match=r"gate\.alpha"):
        parsed('{ rule = "regression" }', gate=f"alpha = {alpha}")


def test_two_suites_headline_everything() -> None:
    """The headline must be a suite, not every one."""
    with pytest.raises(ConfigError, match=r"gate\.headline"):
        parsed('{ rule = "regression" }', gate='headline = "*"')
