from __future__ import annotations

import io
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from publisher.bench.inputs import registered
from publisher.bench.inputs.kind import Inputs
from publisher.bench.inputs.problems import MAX_LINE, parse
from publisher.bench.inputs.suites import load
from publisher.config import SuiteConfig
from publisher.errors import SuiteError
from publisher.files import sha256_hex

if TYPE_CHECKING:
    from tests.made import GitFolder

GOOD = {"id": "p-1", "problem": "What is 6 times 7?", "answer": "42"}


def lines(*problems: dict[str, Any]) -> bytes:
    """Return problems as the lines of a suite file."""
    return b"".join(json.dumps(problem).encode() + b"\n" for problem in problems)


def mistakes(data: bytes, grader: str = "math", *, public: bool = True) -> str:
    """Return the message for a suite that must be refused."""
    with pytest.raises(SuiteError) as caught:
        parse(io.BytesIO(data), "suite s", grader, public=public)
    assert caught.value.exit_code == 2
    return caught.value.message


def test_problems_keep_the_order_of_the_file() -> None:
    """Ids, kinds and answers arrive as written; other fields and blank lines are ignored."""
    data = lines(GOOD, {**GOOD, "id": "a", "kind": "two-step", "source": "x"}) + b"\n  \n"
    found = parse(io.BytesIO(data), "suite s", "math", public=True)
    assert [(problem.id, problem.kind) for problem in found] == [("p-1", ""), ("a", "two-step")]


def test_numbers_are_accepted_as_ids_and_answers() -> None:
    """Public sets number their problems and write answers as JSON integers."""
    (found,) = parse(io.BytesIO(lines({"id": 1, "problem": "6 · 7?", "answer": 42})), "suite s", "integer", public=True)
    assert (found.id, found.answer) == ("1", "42")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"answer": None}, "the answer of 'p-1' is missing"),
        ({"answer": "  "}, "the answer of 'p-1' is empty"),
        ({"answer": 4.5}, "the answer of 'p-1' is not text"),
        ({"answer": True}, "the answer of 'p-1' is not text"),
        ({"problem": ""}, "the problem of 'p-1' is empty"),
        ({"problem": ["x"]}, "the problem of 'p-1' is not text"),
        ({"id": "../x"}, "the id '../x' is not made of"),
        ({"id": "A"}, "the id 'A' is not made of"),
        ({"id": ""}, "the id '' is not made of"),
        ({"id": "x" * 65}, "is not made of"),
        ({"id": True}, "the id 'True' is not made of"),
        ({"id": -1}, "the id '-1' is not made of"),
        ({"kind": 3}, "the kind of 'p-1' is not text"),
        ({"problem": "$\frac{1}{2}$"}, r"U+000C before 'rac{1}{2}$': a lost escape of \frac?"),
        ({"problem": "$3\times 4$"}, r"U+0009 before 'imes 4$': a lost escape of \times, \text or \triangle?"),
        ({"problem": "a\rb"}, r"a lost escape of \right or \rho?"),
        ({"problem": "a\x00b"}, "the control character U+0000"),
        ({"answer": "4\u200b2"}, "the answer of 'p-1' has the invisible character U+200B at 2"),
        ({"problem": "abc\u202edef"}, "the invisible character U+202E at 4"),
        ({"tags": {"topic": "a\u202eb"}}, "the tag topic of 'p-1' is not a text of at most 64 printable characters"),
    ],
)
def test_a_defect_is_named_with_its_line(change: dict[str, Any], said: str) -> None:
    """Each kind of defect has its own sentence, and the line to look at."""
    found = mistakes(lines({**GOOD, "id": "first"}, {**GOOD, **change}))
    assert said in found
    assert "line 2: " in found


def test_line_breaks_in_a_statement_are_fine() -> None:
    """Only a line feed may stand in a statement."""
    assert (
        parse(io.BytesIO(lines({**GOOD, "problem": "First.\nSecond."})), "s", "math", public=True)[0].problem
        == "First.\nSecond."
    )


def test_a_duplicate_id_names_both_lines() -> None:
    """1 and "1" are the same id too."""
    assert "line 3: the id '1' was used in line 1 already" in mistakes(
        lines({**GOOD, "id": 1}, GOOD, {**GOOD, "id": "1"})
    )


def test_all_mistakes_are_reported_at_once_and_ten_are_shown() -> None:
    """A long list is cut at ten, and the rest counted."""
    found = mistakes(lines(*[{**GOOD, "answer": ""} for _ in range(14)]))
    assert found.startswith("suite s has 14 mistakes:")
    assert found.count("is empty") == 10
    assert found.endswith("… and 4 more")


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "it has no problems"),
        (b"\n\n", "it has no problems"),
        (b"[1, 2]\n", "line 1: not a JSON object"),
        (b"{not json}\n", "line 1: not a JSON object"),
        (b"[" * 100_000, "line 1: not a JSON object"),
        (b'{"id": "\xff"}\n', "line 1: not UTF-8 (byte 9)"),
        (b'\xef\xbb\xbf{"id": "a"}\n', "line 1: starts with a byte-order mark"),
        (b"{" + b" " * MAX_LINE + b"}\n", "line 1: longer than 1000000 bytes"),
    ],
)
def test_a_file_that_is_no_suite_is_refused(data: bytes, said: str) -> None:
    """Bytes that are no list of problems end in one sentence."""
    assert said in mistakes(data)


@pytest.mark.parametrize(
    "change", [{"problem": "CANARY\fCANARY"}, {"answer": "CANARY\u200bx"}, {"id": "CANARY"}, {"answer": "CANARY"}]
)
def test_mistakes_of_a_private_suite_are_told_without_quoting_it(change: dict[str, Any]) -> None:
    """The message has the line and what is wrong; it ends up in logs that others read."""
    found = mistakes(lines({**GOOD, **change}), "integer", public=False)
    assert "line 1: " in found
    assert "CANARY" not in found


def test_a_line_that_is_too_long_does_not_hide_the_next_one() -> None:
    """The rest of it is passed over, and lines are still counted as an editor counts them."""
    found = mistakes(b"x" * (3 * MAX_LINE) + b"\n" + lines({**GOOD, "answer": ""}))
    assert "line 1: longer than" in found
    assert "line 2: the answer of 'p-1' is empty" in found


def test_a_large_suite_is_refused_by_its_size(
    repository: GitFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Git is asked for the size first: a small pack may hold a file that fills the memory."""
    monkeypatch.setattr(registered, "MAX_FILE", 50)
    inputs = Inputs(repository.opened, repository.commit({"a.jsonl": lines(GOOD)}), tmp_path / "cache", print)
    with pytest.raises(SuiteError, match=f"has {len(lines(GOOD))} bytes; a suite may have 50"):
        load("a", SuiteConfig(source="a.jsonl"), inputs)
    assert not (tmp_path / "cache").exists()


def test_answers_must_suit_the_grader() -> None:
    """A fraction cannot be the expected answer of a whole-number suite."""
    data = lines({**GOOD, "answer": r"\frac{1}{2}"})
    assert "does not suit the grader 'integer'" in mistakes(data, "integer")
    assert len(parse(io.BytesIO(data), "s", "math", public=True)) == 1


def test_a_suite_is_read_from_the_commit(repository: GitFolder, tmp_path: Path) -> None:
    """What the working tree holds meanwhile does not matter, and the digest is that of the committed bytes."""
    commit = repository.commit({"suites/a.jsonl": lines(GOOD)})
    (repository.path / "suites/a.jsonl").write_text("something else")
    inputs = Inputs(repository.opened, commit, tmp_path / "cache", print)
    suite = load("a", SuiteConfig(source="suites/a.jsonl", public=True), inputs)
    assert (suite.sha256, suite.public, suite.problems[0].answer) == (sha256_hex(lines(GOOD)), True, "42")


def test_another_digest_than_the_declared_one_is_refused(repository: GitFolder, tmp_path: Path) -> None:
    """The message has both digests, and the hint says what to type if the file is the right one."""
    inputs = Inputs(repository.opened, repository.commit({"a.jsonl": lines(GOOD)}), tmp_path, print)
    with pytest.raises(SuiteError) as caught:
        load("a", SuiteConfig(source="a.jsonl", sha256="0" * 64), inputs)
    digest = sha256_hex(lines(GOOD))
    assert digest in caught.value.message
    assert "0" * 64 in caught.value.message
    assert caught.value.hint.endswith(f'in [suites.a]: sha256 = "{digest}"')


def test_the_builtin_suite_loads(repository: GitFolder, tmp_path: Path) -> None:
    """It has at least 400 problems, and every problem has a kind; its pages show them only where that is asked for."""
    inputs = Inputs(repository.opened, repository.git("rev-parse", "HEAD"), tmp_path, print)
    suite = load("abacus", SuiteConfig(source="builtin:abacus", grader="integer"), inputs)
    assert not suite.public
    assert len(suite.problems) >= 400
    assert all(problem.kind for problem in suite.problems)


@pytest.mark.parametrize(
    ("name", "count"), [("aime24", 30), ("aime25", 30), ("hmmt_feb_2025", 30), ("gsm8k_test", 1319)]
)
def test_the_public_sets_load(shared: Path, name: str, count: int) -> None:
    """The sets that the first user needs have no defect."""
    assert len(parse(io.BytesIO((shared / "data" / f"{name}.jsonl").read_bytes()), name, "math", public=True)) == count
