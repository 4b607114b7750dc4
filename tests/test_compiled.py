"""Compiled templates: taken from where the last process left them, and never where anything is different."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from jinja2 import DictLoader, Environment

from publisher.render import compiled, site_folder
from publisher.render.compiled import Compiled
from publisher.render.language import catalogue, speaking
from publisher.render.templates import Templates

PAGE = "<p>{{ x }}</p>"


class _Sealed(Environment):
    """An environment that cannot compile."""

    def compile(self, *_: Any, **__: Any) -> Any:
        """Fail."""
        raise AssertionError("it is compiled anew")


@pytest.fixture(autouse=True)
def _writing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let Python write compiled code, whatever the environment of the tests says."""
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    monkeypatch.setattr(sys, "pycache_prefix", None)


@pytest.fixture(name="compiler")
def compiler_fixture(tmp_path: Path) -> Iterator[Path]:
    """Make a module with a folder for its compiled code; what this process has seen is forgotten."""
    (tmp_path / "__pycache__").mkdir()
    path = tmp_path / "compiler.py"
    path.write_text("first = 1\n")
    compiled._seen.clear()
    yield path
    compiled._seen.clear()


def made(compiler: Path, source: str = PAGE, own: tuple[str, ...] = (), kind: type[Environment] = Environment) -> str:
    """Render a template as a new process does."""
    compiled._seen.clear()
    environment = kind(loader=DictLoader({"a.html": source}), bytecode_cache=Compiled(compiler, own))
    return environment.get_template("a.html").render(x=1)


def files(compiler: Path) -> list[Path]:
    """Return the files of compiled templates."""
    return list((compiler.parent / "__pycache__").iterdir())


def test_the_next_process_compiles_nothing(compiler: Path) -> None:
    """What one process has compiled the next one reads."""
    with pytest.raises(AssertionError, match="compiled anew"):
        made(compiler, kind=_Sealed)
    assert made(compiler) == made(compiler, kind=_Sealed) == "<p>1</p>"


def test_what_differs_is_compiled_anew(compiler: Path) -> None:
    """Another template, another compiler, a damaged file: none of them is answered with older code."""
    made(compiler)
    assert made(compiler, "<b>{{ x }}</b>") == "<b>1</b>"
    compiler.write_text("second = 2\n")
    with pytest.raises(AssertionError, match="compiled anew"):
        made(compiler, "<b>{{ x }}</b>", kind=_Sealed)
    made(compiler)
    (file,) = files(compiler)
    whole = file.read_bytes()
    for damaged in (b"", whole[:40], whole[:-1], whole[:-1] + bytes([whole[-1] ^ 1])):
        file.write_bytes(damaged)
        assert made(compiler) == "<p>1</p>"
        assert file.read_bytes() == whole


def test_a_teams_own_template_leaves_nothing_behind(compiler: Path) -> None:
    """It is neither written nor answered with code of ours of the same name and text."""
    made(compiler, own=("a.html",))
    assert files(compiler) == []
    made(compiler)
    with pytest.raises(AssertionError, match="compiled anew"):
        made(compiler, own=("a.html",), kind=_Sealed)


def test_compiled_code_speaks_every_language() -> None:
    """A word of the catalogue is not put into the code of the site that was rendered first."""
    strings = {"zh-CN.po": (site_folder() / "strings/zh-CN.po").read_bytes()}
    sources = {"a.html": b'{{ "kept"|named }} {{ _("kept") }}'}
    assert Templates(sources, ()).page("a.html") == b"kept kept"
    with speaking(catalogue("zh-CN", strings)):
        assert b"kept" not in Templates(sources, ()).page("a.html")


def test_nothing_is_written_where_python_writes_nothing(compiler: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder that is not there, and the switch that turns off Python's own files, are no mistakes."""
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    assert made(compiler) == "<p>1</p>"
    assert files(compiler) == []
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    (compiler.parent / "__pycache__").rmdir()
    assert made(compiler) == "<p>1</p>"
    assert not (compiler.parent / "__pycache__").exists()
