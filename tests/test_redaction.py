from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import msgspec
import pytest

from publisher.bench.redaction import Redactor
from publisher.config import parse
from publisher.errors import ConfigError
from publisher.samples import unpack_samples
from tests.made import SAMPLE, GitFolder
from tests.measuring import CONFIG, DEFAULTS, Notes, Parrot, job, run

TEXT = r"My key is sk-12345678. \boxed{sk-12345678}"
REDACT = '20_000\nredact = ["sk-[0-9]{8}"]'


def test_what_a_pattern_matches_is_written_nowhere(repository: GitFolder, tmp_path: Path) -> None:
    """Neither the journal nor the samples hold it; a marker shows where it was, and how often is counted."""
    work = job(repository, clip=REDACT, samples=1)
    with pytest.raises(KeyboardInterrupt):
        run(work, tmp_path, Notes(stop=3), start=Parrot(TEXT))
    done = run(work, tmp_path, start=Parrot(TEXT))
    (first, *_) = unpack_samples(done.packed)
    assert (first.text, first.answer) == (r"My key is [redacted]. \boxed{[redacted]}", "[redacted]")
    assert first.redacted == 3
    assert all(b"12345678" not in path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())


def test_redaction_changes_no_outcome(repository: GitFolder, tmp_path: Path) -> None:
    """An answer is graded as it was given; a sample that was redacted is not graded a second time but generated."""
    suite = b'{"id": "a", "problem": "Which key?", "answer": "sk-12345678"}\n'
    work = job(repository, suite, clip=REDACT, grader="exact", samples=1)
    done = run(work, tmp_path / "a", start=Parrot(TEXT))
    assert [one.outcome for one in done.samples] == ["right"]
    notes = Notes()
    assert run(work, tmp_path / "b", notes, done.samples, Parrot(TEXT)).record.reused == {}
    assert notes.total == 1


def test_a_match_that_clipping_would_halve_is_replaced_first(repository: GitFolder, tmp_path: Path) -> None:
    """Half of a secret is not recognized, so texts are redacted whole."""
    work = job(repository, clip=REDACT.replace("20_000", "15"), samples=1)
    done = run(work, tmp_path, start=Parrot(TEXT))
    assert done.samples[0].text == "My key is [reda"


def test_patterns_that_take_too_long_end_the_run() -> None:
    """A repeat inside a repeat takes exponential time; the message says so, and nothing is stored unredacted."""
    with Redactor(["(a+)+$"], seconds=0.3) as redactor, pytest.raises(ConfigError, match=r"takes more than 0\.3 s"):
        redactor.redacted(msgspec.structs.replace(SAMPLE, text="a" * 60 + "b"))


def test_a_pattern_that_matches_the_empty_text_replaces_only_what_it_finds() -> None:
    """No mark appears where nothing was."""
    with Redactor(["a*"]) as redactor:
        done = redactor.redacted(msgspec.structs.replace(SAMPLE, text="baab", answer="", reason=""))
    assert (done.text, done.redacted) == ("b[redacted]b", 1)


def test_reading_a_configuration_matches_no_pattern() -> None:
    """One that takes exponential time on the empty text would stop every command that reads the commit."""
    code = f"from publisher.config import parse; parse({_redact(['(?:$|^|$|^){60}(?!)'])!r})"
    assert subprocess.run([sys.executable, "-c", code], check=False, timeout=120).returncode == 0


def test_without_patterns_nothing_is_started() -> None:
    """A sample comes back as it was."""
    with Redactor([]) as redactor:
        assert redactor.redacted(SAMPLE) is SAMPLE
        assert not redactor._pool._live


@pytest.mark.parametrize(
    ("patterns", "said"),
    [
        ('["x", "(a"]', "ledger.redact[1]: '(a' is no regular expression"),
        (str(["x"] * 21), "21 patterns, at most 20"),
        (str(["x" * 201]), "ledger.redact[0]"),
        ("[1]", "ledger.redact[0]"),
        ('["x", "[[a]"]', "ledger.redact[1]: '[[a]' may mean something else to a later Python: Possible nested set"),
    ],
)
def test_patterns_are_checked_before_a_run(patterns: str, said: str) -> None:
    """Each mistake has its place, as any in publisher.toml."""
    with pytest.raises(ConfigError) as caught:
        parse(_redact(patterns))
    assert said in caught.value.message


def test_patterns_that_take_long_to_compile_are_a_mistake() -> None:
    """Every command that reads the commit compiles them, so a commit could slow all of them down."""
    slow = ["(?i)" + 39 * "[¡-ꭤ]" + letter for letter in "abcdefghijklmnopqrst"]
    began = time.thread_time()
    with pytest.raises(ConfigError, match=r"takes more than 1 s; simplify them"):
        parse(_redact(slow))
    assert time.thread_time() - began < 3


def _redact(patterns: object) -> bytes:
    """Return a configuration with these patterns."""
    return CONFIG.format(**DEFAULTS | {"clip": f"9\nredact = {patterns}"}).encode()
