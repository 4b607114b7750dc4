"""Prompts as files of the commit: read, compared, measured side by side, and what is said about them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from publisher.bench.plan import prompt_digest
from publisher.bench.prompt_check import remarks
from publisher.config import parse
from publisher.config.prompts import load
from publisher.errors import ConfigError
from tests.measuring import SUITE, model
from tests.project import Project

if TYPE_CHECKING:
    from pathlib import Path

CONFIG = """
[model]
name = "abacus"
source = "builtin:abacus@middle"
context = 512
{card}
[model.sampling]
max_tokens = 160
[prompt]
{prompt}
[suites.few]
source = "few.jsonl"
grader = "integer"
public = true
"""
STEPS = r"""
system = "You are a helpful assistant."
template = "{problem} Let's think step by step and output the final answer within \\boxed{}."
notes = "as it was trained"
"""
BARE = r"""
system = "You are a helpful assistant."
template = "{problem} Answer with the number only."
stop = ["Let's"]
"""


def project(tmp_path: Path, prompt: str, card: str = "", **files: str) -> Project:
    """Return a project with two prompts, more `files` of them, and this `[prompt]` section."""
    made = Project.create(tmp_path, remote=False)
    texts = {"steps": STEPS, "bare": BARE} | files
    prompts = {f"prompts/{name}.toml": text for name, text in texts.items()}
    config = CONFIG.format(prompt=prompt, card=card)
    made.folder.commit({"publisher.toml": config, "few.jsonl": SUITE, **prompts})
    return made


@model
def test_prompt_of_a_file_is_measured_and_recorded(tmp_path: Path) -> None:
    """The record names the prompt, with its texts and the digest of what decides an answer."""
    done = project(tmp_path, 'use = "steps"').run("bench", "--json")
    assert done.code == 0, done.err
    prompt = json.loads(done.out)["prompt"]
    assert (prompt["name"], prompt["notes"]) == ("steps", "as it was trained")
    assert prompt["template"].startswith("{problem} Let's think")


@model
def test_prompts_side_by_side(tmp_path: Path) -> None:
    """Two prompts are measured on the same problems and compared by a paired test; no run is recorded."""
    made = project(tmp_path, 'use = "steps"')
    done = made.run("bench", "--prompt", "steps", "--prompt", "bare", "--json")
    assert done.code == 0, done.err
    found = json.loads(done.out)
    (compared,) = found["comparisons"]
    assert (compared["first"], compared["other"], compared["test"]) == ("steps", "bare", "McNemar, exact")
    scores = [found["records"][name]["results"][0]["score"] for name in ("steps", "bare")]
    assert compared["difference"] == pytest.approx(scores[1] - scores[0])
    assert compared["difference"] < 0
    assert done.err.count("prompt ") >= 2
    assert "no runs" in made.run("log").out or made.run("log").out.strip() == ""


def test_diff(tmp_path: Path) -> None:
    """The difference of two prompts is a unified diff of their texts; an older commit's prompt can be named."""
    made = project(tmp_path, 'use = "steps"')
    done = made.run("prompts", "diff", "steps", "bare")
    assert "-template: {problem} Let's think step by step and output" in done.out
    assert '+stop: "Let\'s"' in done.out
    assert "system" not in done.out.replace(" system: You are", "")
    made.folder.commit({"prompts/steps.toml": STEPS.replace("Let's", "Please")})
    assert "+template: {problem} Please" in made.run("prompts", "diff", "HEAD~1:steps", "steps").out
    assert made.run("prompts", "list").out.split() == ["bare", "steps"]


@pytest.mark.parametrize(
    ("prompt", "card", "files", "message"),
    [
        ('use = "stepps"', "", {}, "has no prompts/stepps.toml"),
        ('use = "steps"\nsystem = "x"', "", {}, "prompt.use: prompts/steps.toml has the texts"),
        ('use = "new"', "", {"new": 'template = "no place"'}, "{problem} does not occur"),
        ('use = "new"', "", {"new": 'sytem = "x"'}, "did you mean 'system'"),
        ('use = "new"', "", {"new": "\x00"}, "is not TOML"),
        ('use = "new"', "card = { system_prompt = true }", {"new": ""}, "the card of abacus demands one"),
        ("", "card = { system_prompt = true }", {}, "the card of abacus demands one"),
    ],
)
def test_wrong_prompt_is_one_clear_message(
    tmp_path: Path, prompt: str, card: str, files: dict[str, str], message: str
) -> None:
    """A prompt that is missing, mistaken, or empty where the model's card demands one ends with exit code 2."""
    done = project(tmp_path, prompt, card, **files).run("bench")
    assert (done.code, message in done.err) == (2, True), done.err


def test_stop_is_part_of_the_digest_and_notes_are_not() -> None:
    """The digest covers what decides an answer, and is what it was where there is no stop."""
    digests = []
    for text in (STEPS, STEPS.replace("as it was trained", "other"), STEPS + 'stop = ["x"]'):
        config = parse(CONFIG.format(prompt="", card="").encode())
        prompt = load("p", lambda _, data=text: data.encode(), "commit c")  # type: ignore[misc]
        digests.append(prompt_digest(type(config)(model=config.model, suites=config.suites, prompt=prompt)))
    assert digests[0] == digests[1] != digests[2]


def test_remarks() -> None:
    """An empty system prompt, and a template in another language than a suite asks for, are remarked on."""
    config = parse((CONFIG.format(prompt='template = "Löse: {problem}"', card="") + 'language = "en"\n').encode())
    said = list(remarks(config, lambda text: "de" if "Löse" in text else ""))
    assert said[0].startswith("the system prompt is empty")
    assert said[1] == "the template reads like the language de, but suites.few asks for en"


def test_no_prompt_of_a_folder_outside() -> None:
    """A prompt's name is a plain name: it leads nowhere else."""
    with pytest.raises(ConfigError, match="use"):
        parse(CONFIG.format(prompt='use = "../x"', card="").encode())
