"""Secrets that come from files: read once, bounded, and shown nowhere."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from publisher.cli.secret_files import LARGEST, from_files
from publisher.errors import UsageError
from tests.project import Project

NAME = "NETLIFY_AUTH_TOKEN"
CANARY = "canary-0123456789abcdef"


def test_a_file_counts_as_the_variable(tmp_path: Path) -> None:
    """Its last newline is no part of the secret; a name without a file is left out."""
    (tmp_path / "token").write_text(f"{CANARY}\n")
    assert from_files([NAME, "HF_TOKEN"], {f"{NAME}_FILE": str(tmp_path / "token")}) == {NAME: CANARY}


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (None, "No such file"),
        (b" \n", "is empty"),
        (b"x" * (LARGEST + 1), "larger"),
        (b"\xff\xfe", "not text"),
        (b"a\0b", "not text"),
    ],
)
def test_a_file_that_holds_no_secret_is_named(tmp_path: Path, data: bytes | None, words: str) -> None:
    """The message names variable and file, and never what is in it."""
    path = tmp_path / "token"
    if data is not None:
        path.write_bytes(data)
    with pytest.raises(UsageError, match=words) as caught:
        from_files([NAME], {f"{NAME}_FILE": str(path)})
    assert f"{NAME}_FILE" in caught.value.message
    assert "xxxx" not in caught.value.message


def test_a_folder_and_a_pipe_hold_no_secret(tmp_path: Path) -> None:
    """A pipe that nobody writes to is not waited for."""
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path, tmp_path / "pipe"):
        with pytest.raises(UsageError, match=r"is not a file|Is a directory"):
            from_files([NAME], {f"{NAME}_FILE": str(path)})


def test_a_secret_that_is_given_twice_is_a_mistake(tmp_path: Path) -> None:
    """Which of two values counts would be a riddle."""
    (tmp_path / "token").write_text(CANARY)
    with pytest.raises(UsageError, match="both set"):
        from_files([NAME], {f"{NAME}_FILE": str(tmp_path / "token"), NAME: "other"})


def test_a_command_reads_secrets_from_files_and_shows_none(tmp_path: Path) -> None:
    """A build hook that is none is an error of the hook, as with the variable, and its value is not in the output."""
    project = Project.create(tmp_path)
    (tmp_path / "hook").write_text(f"https://api.netlify.com/{CANARY}\n")
    done = project.run("publish", NETLIFY_BUILD_HOOK_FILE=str(tmp_path / "hook"))
    assert (done.code, "not the address of a Netlify build hook" in done.err) == (2, True)
    assert CANARY not in done.out + done.err
