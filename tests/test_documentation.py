"""The documentation: generated pages are complete, guides name real commands, and everything builds."""

from __future__ import annotations

import html
import importlib
import os
import re
import shlex
import shutil
import subprocess
import sys
import venv
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import click
import msgspec
import pytest

from publisher.cli import COMMANDS, group
from publisher.config.json_schema import json_schema
from publisher.ledger import history
from tests import entered
from tests.made import GitFolder
from tests.project import PUBLISHER

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
GUIDES = sorted((DOCS / "guides").glob("*.md"))


@pytest.fixture(scope="module")
def declared() -> Iterator[ModuleType]:
    """Return what makes the generated pages."""
    sys.path.insert(0, str(DOCS))
    yield importlib.import_module("declared")
    sys.path.remove(str(DOCS))


def test_every_option_is_explained(declared: ModuleType) -> None:
    """Each has a sentence of its own, beside what its values are."""
    rows = re.findall(
        r"^\| (`\w+`) \| (.*?) \| (.*?) \| (.*?) \|$", declared.pages()["publisher-toml.md"], re.MULTILINE
    )
    assert [name for name, *_, meaning in rows if not meaning.strip()] == []
    sections = json_schema()["definitions"]
    options = {name for part in sections.values() for name, value in part["properties"].items() if "allOf" not in value}
    keyed = set(sections["Config"]["properties"]) | {"rule"}
    assert options - keyed - {name.strip("`") for name, *_ in rows} == set()


def test_every_command_is_there(declared: ModuleType) -> None:
    """With its options, and those of the commands below it."""
    page = declared.pages()["commands.md"]
    assert [name for name in COMMANDS if f"## publisher {name}\n" not in page] == []
    assert "### publisher suites list\n" in page
    assert "`--simulate" in page


def test_every_stored_file_is_there(declared: ModuleType) -> None:
    """Whatever has a schema version of its own is described with its fields."""
    page = declared.pages()["formats.md"]
    assert [kind.__name__ for kind in declared.versioned() if f"### {kind.__name__}\n" not in page] == []
    assert "`manifest_sha256`" in page


def test_every_variable_is_there() -> None:
    """The page of environment variables names each one that the code reads."""
    code = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "publisher").rglob("*.py"))
    page = (DOCS / "reference" / "environment.md").read_text(encoding="utf-8")
    # Git reads these two back from a process that publisher starts; nobody sets them.
    ours = {"PUBLISHER_LOGIN_USERNAME", "PUBLISHER_LOGIN_PASSWORD"}
    assert (
        set(re.findall(r"\b(?:PUBLISHER|NETLIFY)_[A-Z_]+\b", code)) - ours - set(re.findall(r"`([A-Z_]+)`", page))
        == set()
    )


@pytest.mark.parametrize("path", GUIDES, ids=lambda path: path.stem)
def test_guides_name_real_commands(path: Path) -> None:
    """Each `publisher …` in a guide is a command, with options and arguments that it takes."""
    text = path.read_text(encoding="utf-8")
    typed = re.findall(r"^\$ (publisher .*?)(?:  +#.*)?(?: > \S+)?$", text, re.MULTILINE)
    typed += [word for word in re.findall(r"`(publisher [^`\n]+)`", text) if "--help" not in word]
    assert typed
    for line in typed:
        words = [word.replace("…", "x") for word in shlex.split(line)[1:]]
        context = group.make_context("publisher", words, resilient_parsing=True)
        rest = [*context._protected_args, *context.args]
        command: click.Command | None = group
        while isinstance(command, click.Group) and rest:
            command = command.get_command(context, rest.pop(0))
        assert command is not None, line
        known = {flag for option in command.params for flag in (*option.opts, *option.secondary_opts)}
        assert [word for word in rest if word.startswith("--") and word not in known] == [], line


def build(source: Path, target: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Build the documentation as `make docs` does."""
    return subprocess.run(
        [sys.executable, "-m", "sphinx", "--fail-on-warning", "--keep-going", "--quiet", str(source), str(target)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, **environment},
    )


@pytest.mark.audit
@pytest.mark.timeout(900)
def test_the_documentation_builds_and_the_notebook_runs(tmp_path: Path) -> None:
    """Strictly: a dead link fails it, and so does a cell of the notebook; pages ask nobody else for anything."""
    target = tmp_path / "html"
    done = build(DOCS, target)
    assert done.returncode == 0, done.stderr
    shown = html.unescape(re.sub("<[^>]+>", "", (target / "python.html").read_text(encoding="utf-8")))
    assert "'receipt'" in shown
    loaded = re.compile(r"<(?:script|img|link rel=\"stylesheet\")[^>]*(?:src|href)=\"(?:https?:)?//")
    assert [path.name for path in target.rglob("*.html") if loaded.search(path.read_text(encoding="utf-8"))] == []


@pytest.mark.audit
@pytest.mark.parametrize("link", ["[x](no-such-page.md)", "[x](gate.md#no-such-heading)"])
def test_a_dead_link_fails_the_build(tmp_path: Path, link: str) -> None:
    """To a page that is not there, and to a heading."""
    docs = tmp_path / "docs"
    shutil.copytree(DOCS, docs, ignore=shutil.ignore_patterns("made", "__pycache__"))
    shutil.copyfile(ROOT / "SECURITY.md", tmp_path / "SECURITY.md")
    (docs / "tutorial.md").write_text(f"# Tutorial\n\n{link}\n", encoding="utf-8")
    done = build(docs, tmp_path / "html", DOCS_EXECUTE="0")
    assert done.returncode != 0
    assert "no-such" in done.stderr


@pytest.mark.audit
@pytest.mark.model
@pytest.mark.timeout(900)
def test_the_tutorial_works_as_it_is_written(tmp_path: Path) -> None:
    """Its commands are typed one after the other, in one shell, with the host in the background."""
    text = (DOCS / "tutorial.md").read_text(encoding="utf-8")
    blocks = re.findall(r"^```sh\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    wait = "until [ -f .git/publisher/host/connection.json ]; do sleep 0.1; done"
    typed = "".join(blocks).replace(
        "publisher serve &", f"publisher serve --port 0 & HOST=$!\ntrap 'kill $HOST' EXIT\n{wait}"
    )
    (tmp_path / ".gitconfig").write_text("[user]\n    name = Ada\n    email = ada@example.org\n", encoding="utf-8")
    home = {"HOME": str(tmp_path), "GIT_CONFIG_GLOBAL": str(tmp_path / ".gitconfig")}
    done = subprocess.run(
        ["bash", "-euxo", "pipefail", "-c", typed],
        cwd=tmp_path,
        env={**os.environ, **home, "PATH": f"{PUBLISHER.parent}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    for said in (
        "verdict: kept",
        "verdict: rejected",
        "exit code 1",
        "Take another checkpoint",
        "turned wrong",
        "@misc{",
    ):
        assert said in done.stdout, said
    assert "The exercise is about greedy answers" in done.stdout


@pytest.mark.audit
@pytest.mark.timeout(900)
def test_the_api_works_in_a_wheel_without_extras(tmp_path: Path, repository: GitFolder) -> None:
    """In a fresh environment with nothing but the core: runs are read, frames and measurements say what they need."""
    record = entered.enter(repository, right=30)
    assert history.folder(record.run_id)
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", str(tmp_path), str(ROOT)]
    subprocess.run(command, check=True, capture_output=True)
    venv.create(tmp_path / "venv", with_pip=True)
    python = tmp_path / "venv" / "bin" / "python"
    install = [str(python), "-m", "pip", "install", "--quiet", str(next(tmp_path.glob("*.whl")))]
    subprocess.run(install, check=True, capture_output=True)
    code = f"""
import publisher
(run,) = publisher.ledger({str(repository.path)!r}).runs()
print(run.record.run_id, len(run.samples), publisher.compare(run, run).suites[0].difference)
for attempt in (lambda: publisher.frame(run.samples), lambda: publisher.bench({str(repository.path)!r})):
    try:
        attempt()
    except publisher.PublisherError as error:
        print(error.hint)
"""
    (repository.path / "publisher.toml").write_text(
        '[model]\nname = "m"\nsource = "builtin:abacus"\n[suites.s]\nsource = "builtin:abacus"\n', encoding="utf-8"
    )
    repository.git("add", "publisher.toml")
    repository.git("commit", "--quiet", "-m", "Measure")
    done = subprocess.run([str(python), "-c", code], capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    first, *hints = done.stdout.splitlines()
    assert first == f"{record.run_id} 40 0.0"
    assert hints[0] == "pip install polars"
    assert "snapshot-publisher[" in hints[1]
    printed = subprocess.run([str(python.with_name("publisher")), "schema"], capture_output=True, check=True).stdout
    found: Any = msgspec.json.decode(printed)
    assert found == json_schema()
