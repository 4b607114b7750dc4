from __future__ import annotations

import re
from pathlib import Path

import msgspec
import pytest

from publisher import schema
from publisher.errors import StorageError
from publisher.files import canonical_json
from publisher.render import build, links
from publisher.schema import Lesson
from tests.beside import add_lessons, add_report
from tests.trees import HOSTILE, history_of, payload, snapshot_tree, source, write_history


@pytest.fixture(name="taught")
def taught_fixture(tmp_path: Path) -> Path:
    """Return a snapshot tree with one rejected run since the last kept one."""
    return add_lessons(add_report(snapshot_tree(tmp_path / "tree", problems=30)))


def lesson_of(tree: Path) -> tuple[Path, Lesson]:
    """Return the tree's one lesson and its file."""
    (path,) = (tree / "ledger/lessons").iterdir()
    return path, schema.decode(path.read_bytes(), Lesson, path.name)


def page_of(tree: Path) -> tuple[str, str]:
    """Return the path and the text of the page of the tree's one lesson."""
    site = build(source(tree))
    assert links.check(site) == []
    (name,) = (name for name in site if re.match(r"rejected/[0-9a-f]{12}/index.html", name))
    return name.removesuffix("index.html"), site[name].decode()


def test_a_rejected_run_has_a_page_with_its_reasons_its_losses_and_its_wrong_answers(taught: Path) -> None:
    """It is reachable from the first page, the history and the list of rejected runs."""
    path, page = page_of(taught)
    _, lesson = lesson_of(taught)
    assert lesson.verdict.rules[0].reason in page
    assert lesson.wrong[0].problem in page
    assert "What it lost" in page
    assert f"{lesson.wrong_more} further answers" in page or not lesson.wrong_more
    site = build(source(taught))
    for name, root in (("index.html", "./"), ("history/index.html", "../"), ("rejected/index.html", "../")):
        assert f'href="{root}{path}"' in site[name].decode(), name
    assert "1 run was rejected since the last kept run. The links lead" in site["rejected/index.html"].decode()


def test_two_rejected_runs_of_one_commit_have_a_page_each(taught: Path) -> None:
    """The older one's address has a number."""
    path, lesson = lesson_of(taught)
    history = history_of(taught)
    place = next(place for place, line in enumerate(history.lines) if line.run_id == lesson.run.run_id)
    again = msgspec.structs.replace(history.lines[place], run_id=f"{lesson.run.run_id}-b")
    lines = [*history.lines[:place], again, *history.lines[place:]]
    write_history(taught, msgspec.structs.replace(history, lines=lines))
    other = msgspec.structs.replace(
        lesson,
        run=msgspec.structs.replace(lesson.run, run_id=again.run_id),
        verdict=msgspec.structs.replace(lesson.verdict, run_id=again.run_id),
    )
    path.with_name(f"{again.run_id}.json").write_bytes(canonical_json(other))
    site = build(source(taught))
    commit = lesson.run.commit[:12]
    assert {f"rejected/{commit}/index.html", f"rejected/{commit}-2/index.html"} <= site.keys()


def test_what_a_lesson_says_stays_text(taught: Path) -> None:
    """A stranger's words in every field do nothing on the page."""
    path, lesson = lesson_of(taught)
    wrong = [
        msgspec.structs.replace(
            one,
            problem=f"{HOSTILE}{number}",
            text=HOSTILE + payload(number),
            statement=HOSTILE + payload(number + 30),
            expected=HOSTILE,
            answer=HOSTILE,
            reason=HOSTILE,
        )
        for number, one in enumerate(lesson.wrong)
    ]
    rules = [msgspec.structs.replace(one, rule=HOSTILE, reason=HOSTILE) for one in lesson.verdict.rules]
    verdict = msgspec.structs.replace(lesson.verdict, rules=rules)
    path.write_bytes(canonical_json(msgspec.structs.replace(lesson, wrong=wrong, verdict=verdict)))
    page = page_of(taught)[1]
    assert "<script>alert" not in page
    assert "<img" not in page
    assert "javascript:" not in re.sub(r">[^<]*<", "><", page)


def test_a_lesson_of_a_suite_that_is_private_here_shows_no_answer(taught: Path) -> None:
    """Whatever the file has; a lesson of a run that is not in the history is not shown, one of another run stops it."""
    path, lesson = lesson_of(taught)
    told = [msgspec.structs.replace(one, suite="hard", text="CANARY") for one in lesson.wrong]
    path.write_bytes(canonical_json(msgspec.structs.replace(lesson, wrong=told)))
    page = page_of(taught)[1]
    assert "CANARY" not in page
    assert "None can be shown" in page
    path.with_name("elsewhere.json").write_bytes(path.read_bytes())
    assert page_of(taught)[1] == page
    moved = msgspec.structs.replace(lesson, run=msgspec.structs.replace(lesson.run, run_id="other"))
    path.write_bytes(canonical_json(moved))
    with pytest.raises(StorageError, match="is about another run"):
        build(source(taught))


def test_a_lesson_ends_its_sentences_as_the_language_does(taught: Path) -> None:
    """A Chinese sentence has no Latin full stop, and one answer that is left out is told in the singular."""
    path, lesson = lesson_of(taught)
    path.write_bytes(canonical_json(msgspec.structs.replace(lesson, wrong_more=1)))
    assert "left out here: 1 further answer to public problems" in page_of(taught)[1]
    (taught / "publisher.toml").write_text('[site]\nlang = "zh-CN"\n')
    page = page_of(taught)[1]
    why = page[page.index('id="why-heading"') :].partition("</p>")[0]
    assert "。" in why
    assert not why.rstrip().endswith(".")
    assert ". " not in why
