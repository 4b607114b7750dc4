"""The JSON Schema of publisher.toml, with which editors complete and check it."""

from __future__ import annotations

import copy
import json
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from publisher.config import parse
from publisher.config.json_schema import NAME, json_schema
from publisher.errors import ConfigError
from publisher.publishing.adoption import starter
from tests.made import GitFolder
from tests.project import PUBLISHER, Project, config

ROOT = Path(__file__).parents[1]
SCHEMA = json_schema()
GOOD: dict[str, Any] = {
    "model": {"name": "m", "source": "m.gguf", "sampling": {"preset": "vibethinker-math"}},
    "suites": {"s": {"source": "s.jsonl"}, "aime25": {"use": "aime25"}},
    "tiers": {"quick": {"suites": {"s": {"samples": 2}}}, "full": {"suites": ["s"], "publish": True, "minutes": 9}},
    "gate": {"rules": [{"rule": "regression", "points": 1}, {"rule": "budget", "metric": "latency", "limit": 60}]},
    "engine": {"flash_attention": "auto"},
    "branches": {"release/*": {"publish": True}},
    "netlify": {"site": "demo", "keep": {"last": 50}},
}


def accepts(document: Any) -> bool:
    """Return whether the schema finds nothing wrong with a document."""
    return bool(jsonschema.Draft7Validator(SCHEMA).is_valid(document))


def examples() -> list[str]:
    """Return every publisher.toml that is shipped, and the whole ones in the documentation."""
    paths = subprocess.run(
        ["git", "-C", str(ROOT), "ls-files", "*publisher.toml", "*.md"], capture_output=True, text=True, check=True
    )
    found = [config()]
    for name in paths.stdout.split():
        text = (ROOT / name).read_text(encoding="utf-8")
        blocks = [part.partition("```")[0] for part in text.split("```toml\n")[1:]] if name.endswith(".md") else [text]
        found += [block for block in blocks if "[model]" in block and "[suites" in block]
    model = starter.Model("m", "local:m.gguf", "a" * 64)
    text = (ROOT / "hooks" / "starter" / "publisher.toml").read_text(encoding="utf-8")
    return [*found, starter.configuration(text, site="s", model=model, suite="aime25")]


@pytest.mark.parametrize("text", examples())
def test_every_example_fits_the_schema(text: str) -> None:
    """What is shipped, written by `init` or shown in the documentation is what an editor calls right."""
    document = tomllib.loads(text.replace('"…"', f'"{"a" * 64}"').replace('"SITE"', '"site"'))
    jsonschema.validate(document, SCHEMA, jsonschema.Draft7Validator)


def test_the_schema_is_one() -> None:
    """It is draft 7 itself, and has a sentence for every section."""
    jsonschema.Draft7Validator.check_schema(SCHEMA)
    assert all(part["description"] for part in SCHEMA["definitions"].values())
    assert "Digest" not in json.dumps(SCHEMA)
    sampling = SCHEMA["definitions"]["SamplingConfig"]["properties"]
    assert "llama.cpp's repeat penalty" in sampling["repetition_penalty"]["description"]


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("modell", {}),
        ("model.nmae", "x"),
        ("model.name", 7),
        ("model.context", 10),
        ("model.sampling.temperature", "hot"),
        ("model.sampling.preset", "no-such-preset"),
        ("suites.s", {}),
        ("suites.Upper case", {"source": "x"}),
        ("suites.s.use", "aime52"),
        ("suites.s.samples", 0),
        ("suites.s.samples", 1.5),
        ("suites.s.public", "yes"),
        ("tiers.full.suites", "s"),
        ("tiers.full.minutes", 0),
        ("tiers.full.over", "fly"),
        ("gate.alpha", 2),
        ("gate.rules", [{"rule": "regresion"}]),
        ("gate.rules", [{"points": 1}]),
        ("gate.rules", [{"rule": "threshold"}]),
        ("gate.rules", [{"rule": "threshold", "min": 101}]),
        ("gate.rules", [{"rule": "threshold", "min": 50, "points": 1}]),
        ("engine.mode", "quick"),
        ("engine.flash_attention", "maybe"),
        ("netlify.site", "No Site"),
        ("netlify.keep.last", -1),
    ],
)
def test_what_publisher_rejects_an_editor_marks(path: str, value: Any) -> None:
    """Structural mistakes are found by both, so nobody trusts an editor in vain."""
    document = copy.deepcopy(GOOD)
    assert accepts(document)
    *parents, last = path.split(".")
    place = document
    for name in parents:
        place = place[name]
    place[last] = value
    assert not accepts(document)
    with pytest.raises(ConfigError):
        parse(_toml(document).encode())


@pytest.mark.parametrize("name", ["model", "suites"])
def test_a_section_that_is_missing_is_marked(name: str) -> None:
    """Without a model or suites there is nothing to measure."""
    assert not accepts({key: value for key, value in GOOD.items() if key != name})


def _toml(value: Any) -> str:
    """Return plain values as TOML, a table per line."""
    if isinstance(value, dict):
        return "\n".join(f"{json.dumps(key)} = {_inline(item)}" for key, item in value.items())
    raise TypeError(value)


def _inline(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(key)} = {_inline(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_inline, value)) + "]"
    return json.dumps(value)


def test_init_writes_the_schema_that_the_first_line_names(tmp_path: Path) -> None:
    """The file is beside publisher.toml, and is what `publisher schema` prints."""
    folder = GitFolder.create(tmp_path / "work")
    done = Project(folder).run("init", "--site", "my-site", "--requirement", "snapshot-publisher==1.0")
    assert done.code == 0, done.err
    first = (folder.path / "publisher.toml").read_text(encoding="utf-8").splitlines()[0]
    assert first == f"#:schema ./{NAME}"
    printed = subprocess.run([PUBLISHER, "schema"], capture_output=True, text=True, check=True).stdout
    assert (folder.path / NAME).read_text(encoding="utf-8") == printed
    assert json.loads(printed) == SCHEMA
