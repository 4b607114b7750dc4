from __future__ import annotations

import ast
import io
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import publisher.cli
from publisher.cli import _explain, terminal
from publisher.errors import ConfigError
from publisher.secret import Secret, redacted
from tests.made import GitFolder
from tests.project import PUBLISHER

CANARY = "canary-5d1e/0123456789abcdef"
ROOM = Path(publisher.cli.__file__).parent


@pytest.mark.parametrize(
    "attack",
    [
        "\x1b[2J\x1b[31mred",
        "\x1b]8;;https://evil.example\x07link\x1b]8;;\x07",
        "\x1b]52;c;cm0gLXJm\x07",
        "\x1bP+q544e\x1b\\",
        "\x9b31m",
        "\r overwritten",
        "\x7f\x08\x00",
        "\u202emoc.live\u2066",
        "zero\u200bwidth\ufeff",
        "tag\U000e0041",
        "\ud800",
    ],
)
def test_nothing_steers_a_terminal(attack: str) -> None:
    """Escape sequences, controls and invisible characters come out spelled, and can be encoded."""
    shown = terminal.harmless(f"before {attack} after")
    assert shown.isprintable(), shown
    assert "\\x" in shown or "\\u" in shown.lower()
    assert shown.encode()


@pytest.mark.parametrize("attack", ["::add-mask::x", "a\n  ::stop-commands::x", "log ##[error]x", "\t::error::"])
def test_nothing_is_a_command_for_a_runner(attack: str) -> None:
    """No line begins with `::` and none contains `##[`, which GitHub's runner would obey."""
    shown = terminal.harmless(attack)
    assert not any(line.strip().startswith("::") for line in shown.splitlines())
    assert "##[" not in shown


def test_json_stays_json(capsys: pytest.CaptureFixture[str]) -> None:
    """What is escaped in a JSON document reads as before, and a secret in it is hidden."""
    Secret(CANARY)
    terminal.echo_json({"a": "\x1b[2J ##[error] \x7f é", "b": f"see {CANARY}"})
    out = capsys.readouterr().out
    assert "##[" not in out
    assert all(character == "\n" or " " <= character <= "~" for character in out)
    assert json.loads(out) == {"a": "\x1b[2J ##[error] \x7f é", "b": "see ***"}


@pytest.mark.parametrize(
    "text",
    [
        f"the API said: {CANARY}",
        f"quoted {CANARY.replace('/', '%2F')}",
        "in base64 Y2FuYXJ5LTVkMWUvMDEyMzQ1Njc4OWFiY2RlZg==",
        "its last part alone 0123456789abcdef",
    ],
)
def test_a_known_secret_is_hidden(text: str) -> None:
    """A secret is found as it is, encoded, and by its last part."""
    Secret(CANARY)
    assert "0123456789abcdef" not in redacted(text)
    assert "***" in redacted(text)


def test_addresses_lose_their_user_information() -> None:
    """Whatever stands before the @ of an address in a message is hidden."""
    assert redacted("cannot read 'https://me:pass@host/a.git'") == "cannot read 'https://***@host/a.git'"


def test_only_one_module_writes_to_the_terminal() -> None:
    """No command prints past `terminal`: neither print, nor click.echo, nor a stream's write."""
    found = []
    for path in sorted(ROOM.glob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.Call):
                continue
            name = ast.unparse(node.func)
            if name in {"print", "click.echo", "click.secho"} or name.startswith(("sys.stdout.", "sys.stderr.w")):
                found.append(f"{path.name}:{node.lineno}: {name}")
    assert [line for line in found if not line.startswith("terminal.py")] == []


@pytest.mark.parametrize("error", [RecursionError("too deep"), MemoryError(), ValueError("\x1b[2J"), KeyError("x")])
def test_whatever_was_not_expected_is_one_message(error: Exception, capsys: pytest.CaptureFixture[str]) -> None:
    """An error that no function knew ends with exit code 3, one message, and where to report it."""
    assert _explain(error) == 3
    err = capsys.readouterr().err
    assert err.startswith(f"error: something that publisher did not expect: {type(error).__name__}")
    assert "PUBLISHER_TRACEBACK=1" in err
    assert "\x1b" not in err
    assert len(err.splitlines()) == 2


def test_the_traceback_is_there_for_the_asking(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the variable set, an error shows where it came from, without secrets."""
    monkeypatch.setenv("PUBLISHER_TRACEBACK", "1")
    Secret(CANARY)
    with pytest.raises(ConfigError) as caught:
        raise ConfigError(f"wrong {CANARY}")
    assert _explain(caught.value) == 2
    err = capsys.readouterr().err
    assert "test_terminal.py" in err
    assert CANARY not in err


def test_an_interruption_inside_a_library_is_one(capsys: pytest.CaptureFixture[str]) -> None:
    """Ctrl-C that a library turned into an error of its own while it was imported is still exit code 130."""
    error = ImportError("half loaded")
    error.__context__ = KeyboardInterrupt()
    assert _explain(error) == 130
    assert "interrupted" in capsys.readouterr().err


def test_a_reader_that_has_gone_is_no_error() -> None:
    """With its output closed, a command ends as it would have, in silence."""
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run([PUBLISHER, "--help"], stdout=writer, stderr=subprocess.PIPE, text=True, check=False)
    os.close(writer)
    assert (done.returncode, done.stderr) == (0, "")


def test_output_that_cannot_be_written_is_an_error() -> None:
    """A full disk behind the output is exit code 3 and one message."""
    with Path("/dev/full").open("w") as full:
        done = subprocess.run([PUBLISHER, "--help"], stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert (done.returncode, done.stderr.count("error:"), "Exception" in done.stderr) == (3, 1, False)


def test_an_ascii_terminal_is_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    """Characters that the terminal's encoding lacks are spelled out."""
    written = io.BytesIO()
    monkeypatch.setattr("sys.stdout", io.TextIOWrapper(written, encoding="ascii"))
    terminal.prepare()
    terminal.echo("✓ kept")
    assert written.getvalue() == b"\\u2713 kept\n"


@pytest.mark.parametrize("arguments", [["--nonsense"], ["nonsense\x1b[2J"], ["log", "--nonsense"], ["rollback"]])
def test_a_wrong_command_line_is_one_message(arguments: list[str]) -> None:
    """What click complains about has the form of every other error, and exit code 2."""
    done = subprocess.run([PUBLISHER, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.startswith("error: ")
    assert "hint: publisher" in done.stderr
    assert "\x1b" not in done.stderr


@pytest.mark.parametrize("module", ["click", "publisher.cli.log", "git", "requests"])
def test_an_interruption_while_loading_is_one(module: str, repository: GitFolder) -> None:
    """Ctrl-C at whatever module is being imported ends the command with exit code 130, without a traceback."""
    code = (
        "import sys\nclass Finder:\n"
        f"    def find_spec(self, name, *_):\n        if name == {module!r}: raise KeyboardInterrupt\n"
        "sys.meta_path.insert(0, Finder())\nsys.argv = ['publisher', 'log']\n"
        "from publisher.__main__ import main\nmain()\n"
    )
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=repository.path, capture_output=True, text=True, check=False)
    assert done.returncode == 130
    assert "Traceback" not in done.stderr


def test_next_to_nothing_is_loaded_before_an_interruption_is_caught() -> None:
    """The entry point costs less than the interpreter's own start, in which Ctrl-C is Python's to answer."""
    root = Path(publisher.__file__).parents[1]
    code = f"import sys; sys.path.insert(0, {str(root)!r}); import publisher.__main__; print(*sys.modules)"
    command = [sys.executable, "-I", "-S", "-c", code]
    loaded = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    assert not {"typing", "re", "importlib", "inspect", "click"} & set(loaded)
