from __future__ import annotations

import fcntl
import os
import pty
import struct
import subprocess
import termios
from pathlib import Path

import msgspec
import pytest
from rich.cells import cell_len

from publisher.errors import UsageError
from publisher.publishing.answers import Choice, answer_lines, check, chosen, wrapped
from publisher.schema import Record, Sample
from tests.made import SAMPLE, record
from tests.project import PUBLISHER, Project

EVIL = "\x1b[2J\x1b]52;c;cm0gLXJm\x07 \u202egnp.exe\r\n::add-mask::x\x9b31m"


def run(*, public: bool = True) -> Record:
    """Return a record whose suite is public or not."""
    made = record()
    return msgspec.structs.replace(made, suites=[msgspec.structs.replace(made.suites[0], public=public)])


def samples() -> list[Sample]:
    """Return two samples of one problem and one of another."""
    first = msgspec.structs.replace(SAMPLE, statement="How many?", expected="42")
    second = msgspec.structs.replace(first, sample=1, outcome="wrong", answer="41")
    return [first, second, msgspec.structs.replace(second, problem="p-2")]


def lines(of: Record, choice: Choice = Choice(), width: int = 0) -> str:  # noqa: B008 - an immutable value
    """Return what is shown of the samples."""
    return "\n".join(answer_lines(of, chosen(of, samples(), choice), width))


def test_answers_are_chosen_by_suite_problem_and_outcome() -> None:
    """Each option narrows the choice; without any, all are shown, and a problem's statement once."""
    assert lines(run()).count("How many?") == 2
    assert lines(run()).count("── ") == 3
    assert "sample 1" not in lines(run(), Choice(outcome="wrong"))
    assert lines(run(), Choice(problem="p-2")).count("── ") == 1
    assert lines(run(), Choice(suite="other")) == ""


def test_of_a_private_suite_nothing_but_ids_outcomes_and_figures_is_shown() -> None:
    """No statement, answer or text, even where the samples have them."""
    shown = lines(run(public=False))
    assert "p-1" in shown
    assert "wrong" in shown
    assert not {word for word in ("How many", "42", "41", "boxed") if word in shown}


@pytest.mark.parametrize("width", [20, 40, 80])
def test_lines_fit_the_terminal(width: int) -> None:
    """Long words are folded, wide characters take two columns, and indented code keeps its indentation."""
    text = "word " * 40 + "\n" + "x" * 200 + "\n    return 1\n" + "把最终答案放入方框" * 20
    found = wrapped(text, width)
    assert max(cell_len(line) for line in found) <= width
    assert "    return 1" in found
    assert "".join("".join(found).split()) == "".join(text.split())


def test_hostile_answers_steer_no_terminal() -> None:
    """Every control and invisible character of statement, answer, reason and text is spelled out."""
    evil = msgspec.structs.replace(
        SAMPLE, statement=EVIL, expected=EVIL, answer=EVIL, reason=EVIL, text=EVIL * 50, problem=EVIL, suite="s"
    )
    for line in answer_lines(run(), [evil], 40):
        assert line.isprintable(), repr(line)


def test_an_unknown_suite_or_problem_is_an_error() -> None:
    """The message says which ones there are."""
    with pytest.raises(UsageError, match="no suite 'other'"):
        check(Choice(suite="other"), run())
    with pytest.raises(UsageError, match="no problem 'q'"):
        check(Choice(problem="q"), run())


def on_a_terminal(command: list[str], columns: int, **environment: str) -> str:
    """Return what a command writes to a terminal of so many columns."""
    leader, follower = pty.openpty()
    fcntl.ioctl(follower, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    variables = {**os.environ, **environment}
    process = subprocess.Popen(command, stdout=follower, stderr=follower, stdin=subprocess.DEVNULL, env=variables)
    os.close(follower)
    found = b""
    while True:
        try:
            part = os.read(leader, 1 << 16)
        except OSError:
            break  # Linux says so when the last writer has gone
        found += part
    os.close(leader)
    assert process.wait(60) == 0, found
    return found.decode()


@pytest.mark.model
def test_a_terminal_gets_a_pager_and_a_pipe_gets_plain_lines(tmp_path: Path) -> None:
    """On a terminal $PAGER shows lines of its width; without a terminal, or without a pager, they are printed."""
    project = Project.create(tmp_path, remote=False)
    assert project.run("bench").code == 0
    command = [str(PUBLISHER), "--repo", str(project.folder.path), "show", "--problem", "add-001"]
    paged = on_a_terminal(command, 44, PAGER="sed s/^/paged:/", COLUMNS="")
    assert all(line.startswith("paged:") for line in paged.splitlines())
    assert max(len(line) for line in paged.splitlines()) <= 44 + len("paged:")
    assert "answer" in on_a_terminal(command, 44, PAGER="no-such-pager")
    done = project.run("show", "--problem", "add-001", "--outcome", "right")
    assert "small · add-001 · sample 1 · right" in done.out
    assert project.run("show", "--json", "--problem", "add-001").json[0]["problem"] == "add-001"
    assert project.run("show", "--outcome", "nice").code == 2
