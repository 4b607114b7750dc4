"""Mistakes of publisher.toml and of its sources: told all at once, with what was probably meant, and exit code 2."""

from __future__ import annotations

from pathlib import Path

import pytest

from publisher.config import parse
from publisher.errors import ConfigError, ModelError, ModelSourceError
from publisher.graders import mistake_in
from publisher.netlify.deploys import _hint
from tests.project import Project, config

MANY = """
[model]
name = "m"
source = "builtin:abacuss"
[prompt]
template = "{problm} x"
[suites.small]
source = "hff:o/r@x/y.jsonl"
grader = "mathh"
template = "{{problem}"
[suites.other]
source = "hf:o/r/y.jsonl"
[suites.third]
source = "../y.jsonl"
[tiers.full]
suites = ["smal"]
publish = true
[gate]
headline = "smalll"
[engine]
mode = "fst"
[netlify]
site = "My_Site"
"""
WORDS = [
    "engine.mode: 'fst' is none of reproducible, fast",
    "suites.small.grader: 'mathh' is none of",
    "netlify.site: 'My_Site' does not have the right form",
    "gate.headline: no suite is called 'smalll'; did you mean 'small'?",
    "tiers.full.suites: no suite is called 'smal'; did you mean 'small'?",
    "prompt.template: {problem} does not occur in it, so every prompt would be the same; did you mean",
    "model.source: 'builtin:abacuss' does not exist; did you mean 'builtin:abacus'?",
    "suites.small.source: 'hff:o/r@x/y.jsonl' is neither a path nor",
    "did you mean 'hf:'?",
    "suites.other.source: 'hf:o/r/y.jsonl' is not hf:OWNER/REPO@REVISION/FILE",
    "suites.third.source: '../y.jsonl' is not a path inside the repository",
]


def test_all_mistakes_are_told_at_once() -> None:
    """Wrong forms, names that point nowhere, templates and sources stand in one message, each with a suggestion."""
    with pytest.raises(ConfigError) as caught:
        parse(MANY.encode(), graders=mistake_in)
    assert [words for words in WORDS if words not in caught.value.message] == []
    count = caught.value.message.count("\n")
    assert caught.value.message.startswith(f"publisher.toml has {count} mistakes")


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("git:https://example.org/a@main:m.gguf", "is not git:ADDRESS@COMMIT:PATH"),
        ("s3:bucket", "is not s3:BUCKET/KEY"),
        ("local:/m.gguf", "is not local:NAME"),
        ("/m.gguf", "is not a path inside the repository"),
        ("builtin:abacus@late", "did you mean"),
        ("https://me@example.org/m.gguf", "not an address that can be fetched"),
    ],
)
def test_a_source_is_checked_before_anything_is_fetched(source: str, words: str) -> None:
    """Whatever its name tells is told with the other mistakes."""
    with pytest.raises(ConfigError, match=words):
        parse(config(source).encode())


@pytest.mark.parametrize("source", ["builtin:abacus@middle", "models/m.gguf", "m.gguf"])
def test_good_sources_are_no_mistakes(source: str) -> None:
    """A path needs no digest, and each checkpoint of the builtin model is known."""
    assert parse(config(source).encode()).model.source == source


def test_a_model_that_its_commit_lacks_is_the_users_to_correct(tmp_path: Path) -> None:
    """Exit code 2, as for every mistake in what somebody wrote; the engine's failures stay 3."""
    project = Project.create(tmp_path, remote=False)
    project.folder.commit({"publisher.toml": config("models/none.gguf")})
    done = project.run("bench")
    assert (done.code, "models/none.gguf does not exist in commit" in done.err) == (2, True), done.err
    assert (ModelSourceError.exit_code, ModelError.exit_code) == (2, 3)


def test_a_branch_that_the_host_cannot_fetch_is_no_build_to_mend() -> None:
    """The hint leads to where the host builds from, not in a circle."""
    assert "--source" in _hint("cannot clone the branch snapshot-0123456789ab of /gone")
    assert "mend the build" in _hint("Command failed with exit code 1")
