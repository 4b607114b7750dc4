from __future__ import annotations

import contextlib
import json
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from publisher.config import BestRatio, Threshold, parse
from publisher.errors import ConfigError
from publisher.graders import GRADERS, mistake_in

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


def test_tiers_go_from_the_cheapest_up() -> None:
    """The cascade ends with the tier that publishes; a tier whose samples another one takes too comes first."""
    assert parse(GOOD.encode()).cascade == ["quick", "full"]
    swapped = GOOD.replace("[tiers.quick]", "[tiers.late]").replace("[tiers.full]", "[tiers.quick]")
    text = swapped.replace("[gate]", "[tiers.nightly]\nsuites = { b = { samples = 64 } }\n[gate]")
    assert parse(text.encode()).cascade == ["late", "quick"]
    first = GOOD.replace("[tiers.quick]", '[tiers.all]\nsuites = ["a", "b"]\npublish = true\n[tiers.quick]')
    assert parse(first.encode()).cascade == ["quick", "all"]


def test_a_tier_has_its_own_rules_and_alpha() -> None:
    """The commit's alpha is split over tiers with tests, after what tiers name; inherited rules need their suite."""
    text = GOOD.replace("suites = { a = { samples = 1 } }", "suites = { a = { samples = 1 } }\n{own}").replace(
        "rules = [", 'rules = [{ rule = "regression", suite = "*" }, '
    )
    shared = parse(text.replace("{own}", "").encode())
    assert [shared.of_tier(name).gate.alpha for name in ("quick", "full")] == [0.005, 0.005]
    assert [rule.suite for rule in shared.of_tier("quick").gate.rules] == ["*", "a"]
    assert shared.of_tier("quick").headline == "a"
    named = parse(text.replace("{own}", "alpha = 0.001").encode())
    assert [named.of_tier(name).gate.alpha for name in ("quick", "full")] == pytest.approx([0.001, 0.009])
    untested = parse(text.replace("{own}", 'rules = [{ rule = "threshold", min = 1 }]').encode())
    assert untested.of_tier("full").gate.alpha == 0.01
    assert untested.of_tier("quick").gate.rules == [Threshold(min=1)]
    assert untested.of_tier("quick").of_tier("quick") == untested.of_tier("quick")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            ("publish = true", ""),
            "tiers: none has publish = true, so nothing is ever published; add it to [tiers.full]",
        ),
        (("[tiers.quick]", "[tiers.auto]"), "tiers.auto: the name stands for all tiers"),
        (('["a", "b"]', '["a"]'), "tiers.full.suites: gate.rules[0] looks at 'b', which this tier does not measure"),
        (
            ("publish = true", 'publish = true\nrules = [{ rule = "max-drop", points = 2, suite = "c" }]'),
            "tiers.full.rules[0].suite: no suite is called 'c'",
        ),
        (
            ("[tiers.full]", 'rules = [{ rule = "max-drop", points = 2, suite = "b" }]\n[tiers.full]'),
            "tiers.quick.rules[0] looks at 'b', which this tier does not measure, so no run would ever be kept",
        ),
        (
            ("publish = true", 'publish = true\nrules = [{ rule = "threshold", min = 0 }]'),
            "tiers.full.rules[0].min: no score is below 0, so this rule never rejects",
        ),
        (
            ("publish = true", 'publish = true\nrules = [{ rule = "regression", suite = "a", max_samples = 2 }]'),
            "tiers.full.rules[0].max_samples: 2 is below the 4 samples per problem",
        ),
        (("publish = true", "publish = true\nalpha = 0.02"), "gate.alpha: the tiers name 0.02 for themselves"),
        (
            ("publish = true", 'publish = true\nalpha = 0.002\nrules = [{ rule = "regression", alpha = 0.005 }]'),
            "tiers.full: its rules name an alpha of 0.005 for themselves, more than it may spend (0.002 of gate.alpha",
        ),
        (("publish = true", 'publish = true\nover = "trim"'), "tiers.full.over: there are no minutes"),
        (("publish = true", 'publish = true\nminutes = 5\nover = "trimm"'), "did you mean 'trim'?"),
        (("publish = true", "publish = true\nminutes = 0"), "tiers.full.minutes"),
        (("publish = true", "publish = true\nminuts = 5"), "tiers.full.minuts: unknown key; did you mean 'minutes'?"),
    ],
)
def test_contradictory_tiers_are_mistakes(change: tuple[str, str], message: str) -> None:
    """Each is found before anything is measured, with its place."""
    text = GOOD.replace('source = "builtin:abacus"', 'source = "builtin:abacus"\nsampling = { temperature = 0.7 }')
    assert message in mistakes(text.replace(*change))


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
        parse(bad.encode(), graders=mistake_in)
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


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a = " + "[" * 5000, "nested too deeply"),
        ("a = " + "{a=" * 900 + "1" + "}" * 900, "nested too deeply"),
        ("a = " + "9" * 5000, "too many digits"),
        (".".join("a" * 50_000) + " = 1", "more than 32 parts"),
        ("\n".join(f"k{number} = 1" for number in range(9000)), "50 or more mistakes"),
        (f"{'k' * 100_000} = 1", "unknown key"),
        ("x" * 300_000, "larger than"),
        (GOOD + "[engine]\ntimeout = inf", "finite"),
        (GOOD + "[prompt.x]\ny = nan", "unknown key"),
        (GOOD.replace("samples = 4", "samples = 1979-05-27"), "suites.a.samples"),
        (GOOD.replace("samples = 4", "samples = true"), "suites.a.samples"),
    ],
)
def test_a_hostile_file_is_a_config_error(text: str, words: str) -> None:
    """Depth, size, odd numbers and any number of mistakes end as one short message, at once."""
    started = time.process_time()
    message = mistakes(text)
    assert words in message
    assert len(message) < 10_000
    assert time.process_time() - started < 5


@pytest.mark.parametrize(
    "source",
    [
        "https://[::1",
        "https://host:99999/m",
        "https://user:pass@host/m",
        "https://good.example\\\\@evil.example/m",
        "https:///m",
        "https://a b/m",
        "http://h\u00f6st/m",
    ],
)
def test_a_source_is_an_address_that_all_read_alike(source: str) -> None:
    """An address with an odd host, user information or a backslash is named as a mistake."""
    text = GOOD.replace('"builtin:abacus"', f'"{source}"\nsha256 = "{"0" * 64}"')
    assert "model.source: not an address" in mistakes(text)


def test_names_and_tiers_are_checked_with_all_else() -> None:
    """A misspelt mode, a tier of a wrong kind and an unknown key in a tier come together, with suggestions."""
    text = GOOD + '[engine]\nmode = "reproducable"\nflash_attention = "maybe"\n[tiers.odd]\nsuites = 3\n'
    message = mistakes(text.replace("samples = 1", "sample = 1"))
    assert "engine.mode: 'reproducable' is none of reproducible, fast; did you mean 'reproducible'?" in message
    assert "engine.flash_attention: 'maybe' is none of auto, true, false" in message
    assert "tiers.odd.suites" in message
    assert "tiers.quick.suites.a.sample: unknown key; did you mean 'samples'?" in message


@pytest.mark.parametrize(
    ("table", "expected"),
    [
        ('[engine]\nkv_type = "q8_0"\n', "engine.kv_type: q8_0 needs flash_attention = true"),
        ('[engine]\nkv_type = "q4_0"\nmode = "fast"\nflash_attention = false\n', "needs flash_attention = true"),
        ('[model]\ngpu_layers = "some"\n', "model.gpu_layers: 'some' is none of all, a whole number"),
        ('[model]\ncpu_experts = "none"\n', "model.cpu_experts: 'none' is none of auto, a whole number"),
    ],
)
def test_options_of_the_engine_that_cannot_be_are_found_before_a_model_is_fetched(table: str, expected: str) -> None:
    """Each message says what may be there; a quantized cache needs attention in one step."""
    text = GOOD + table if table.startswith("[engine]") else GOOD.replace("[model]\n", table)
    assert expected in mistakes(text)


def test_an_escape_that_toml_took_is_explained() -> None:
    r"""An unescaped \b in "\boxed" is a backspace: the message names the key and what to type."""
    text = GOOD + '[prompt]\ntemplate = "{problem} in \\boxed{}"\n'
    with pytest.raises(ConfigError, match=r"prompt.template: .* U\+0008.*write \\\\b, or use '…'"):
        parse(text.encode(), graders=mistake_in)
    assert parse(text.encode()).prompt.template  # an old run's page is still rendered


SECTIONS = ["model", "prompt", "suites", "tiers", "gate", "engine", "netlify", "rules", "a"]
KEYS = st.one_of(st.sampled_from(SECTIONS), st.text())
VALUES = st.recursive(
    st.one_of(st.text(), st.integers(), st.floats(), st.booleans(), st.sampled_from(["builtin:abacus", "https://x"])),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(KEYS, inner, max_size=4)),
    max_leaves=12,
)


def toml(value: object) -> str:
    """Return a value as TOML, in line."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(key)} = {toml(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(toml(item) for item in value) + "]"
    return json.dumps(value).replace("NaN", "nan").replace("Infinity", "inf")


@given(st.dictionaries(KEYS, VALUES, max_size=6))
@settings(max_examples=300, deadline=None)
def test_any_document_is_a_config_or_a_config_error(document: dict[str, object]) -> None:
    """Whatever tables and values a file holds, there is no traceback."""
    text = GOOD + "".join(f"{json.dumps(key)} = {toml(value)}\n" for key, value in document.items())
    for data in (text, text.removeprefix(GOOD)):
        with contextlib.suppress(ConfigError):
            parse(data.encode(errors="surrogatepass"), graders=mistake_in)


@given(st.integers(0, len(GOOD)), st.binary(max_size=12), st.integers(0, 12))
@settings(max_examples=300, deadline=None)
def test_any_damage_is_a_config_or_a_config_error(at: int, inserted: bytes, removed: int) -> None:
    """A good file with bytes put in and taken out anywhere is read or refused, never a traceback."""
    data = GOOD.encode()
    with contextlib.suppress(ConfigError):
        parse(data[:at] + inserted + data[at + removed :], graders=mistake_in)
