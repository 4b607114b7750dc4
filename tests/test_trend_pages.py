from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from publisher.render import build, links
from tests.beside import add_lessons, add_report
from tests.trees import history_of, snapshot_tree, source, write_history

if TYPE_CHECKING:
    from collections.abc import Callable

    from publisher.schema import HistoryLine


def changed(tree: Path, change: Callable[[int, HistoryLine], HistoryLine]) -> dict[str, str]:
    """Return the first page and the history of a tree, each of whose lines of history was changed first."""
    history = history_of(tree)
    lines = [change(place, line) for place, line in enumerate(history.lines)]
    write_history(tree, msgspec.structs.replace(history, lines=lines))
    site = build(source(tree))
    assert links.check(site) == []
    return {name: site[f"{name}index.html"].decode() for name in ("", "history/")}


def test_small_charts_show_other_suites_tokens_and_latency(tmp_path: Path) -> None:
    """Each with its value now; lines of older publishers, which lack some, are left out of theirs."""
    tree = snapshot_tree(tmp_path, problems=8)
    page = build(source(tree))["index.html"].decode()
    names = re.findall(r'<li><p>(.*?) <b class="figure">(.*?)</b></p><svg', page)
    assert [name for name, _ in names] == ["hard", "tokens per answer", "median latency"]
    assert names[2][1] == "410 ms"

    def old(_: int, line: HistoryLine) -> HistoryLine:
        scores = {name: msgspec.structs.replace(one, tokens=None, latency=None) for name, one in line.scores.items()}
        return msgspec.structs.replace(line, scores=scores)

    assert re.findall(r"<li><p>(.*?) <b", changed(tree, old)[""]) == ["hard"]


def test_a_new_model_a_new_suite_and_a_rollback_are_marked(tmp_path: Path) -> None:
    """Each with what happened as its title, and in the legend."""
    tree = add_lessons(add_report(snapshot_tree(tmp_path, problems=8)))

    def suite(place: int, line: HistoryLine) -> HistoryLine:
        other = {name: msgspec.structs.replace(one, suite="9" * 64) for name, one in line.scores.items()}
        return msgspec.structs.replace(line, scores=other) if place < 10 else line

    page = changed(tree, suite)[""]
    assert "A new version of words from here on: 9 runs before it left out" in page
    assert page.count("Another model file from") == 2  # one change, drawn at two widths
    assert re.search(r"Rolled back from [0-9a-f]{7} to [0-9a-f]{7}, 10 Nov 2026: Answers were too terse", page)
    for words in ("another model", "another version of the suite", "rolled back"):
        assert page.count(f"</svg> {words}") == 2


def test_models_that_change_all_the_time_are_counted_and_not_marked(tmp_path: Path) -> None:
    """Wedges side by side would say nothing."""
    tree = snapshot_tree(tmp_path, runs=90, problems=8)
    page = changed(tree, lambda place, line: msgspec.structs.replace(line, model=f"{place:012x}"))[""]
    wide, narrow = page.index('class="chart chart-wide'), page.index('class="chart chart-narrow')
    assert "Another model file" not in page[wide:narrow]
    assert "times, too often to be marked." in page[page.index('class="for-wide">') :].partition("</span>")[0]


def test_the_history_lists_the_commits_that_clearly_moved_a_suite(tmp_path: Path) -> None:
    """The gate's own finding at the time, newest first, with a link where there is something to see."""
    tree = snapshot_tree(tmp_path, problems=8)

    def moved(place: int, line: HistoryLine) -> HistoryLine:
        found = {2: (9.0, 3.0, 15.0), 6: (-8.0, -12.0, -4.0)}.get(place)
        words = {"words": msgspec.structs.replace(line.scores["words"], moved=found)} if line.scores else {}
        return msgspec.structs.replace(line, scores=words)

    page = changed(tree, moved)["history/"]
    part = page[page.index('id="moved"') : page.index('id="runs"')]
    assert re.findall(r'class="figure">(.\d+\.\d)<', part) == ["−8.0", "+9.0"]
    assert re.findall(r"\[.*?\]", part) == ["[−12.0, −4.0]", "[+3.0, +15.0]"]
    assert 'id="moved"' not in changed(tree, lambda _, line: msgspec.structs.replace(line, scores={}))["history/"]


def test_captions_and_legends_say_what_is_drawn_at_their_width(tmp_path: Path) -> None:
    """The wide chart of many runs has a band and the phone's of few has bars; each says its dates and its axis."""
    page = build(source(snapshot_tree(tmp_path, runs=90, problems=8)))["index.html"].decode()
    wide, narrow = (
        page[page.index(f'class="legend for-{name}"') :].partition("</ul>")[0] for name in ("wide", "narrow")
    )
    assert "95 % intervals of kept runs" in wide
    assert "95 % intervals of kept runs" not in narrow
    captions = re.findall(r'class="for-(?:wide|narrow)">(words: .*?)</span>', page)
    assert [re.search(r"of (\d+) runs", one)[1] for one in captions] == ["91", "24"]  # type: ignore[index]
    assert all("to 20 Nov 2026." in one for one in captions)
    assert "The axis runs from" in captions[1]


def test_the_best_of_runs_before_the_window_is_drawn_from_its_edge(tmp_path: Path) -> None:
    """A chart whose window starts after the best run shows that one's score from the left on."""
    tree = snapshot_tree(tmp_path, runs=130, problems=8)

    def early(place: int, line: HistoryLine) -> HistoryLine:
        high = {"words": msgspec.structs.replace(line.scores["words"], score=99.0)} if place == 2 else {}
        return msgspec.structs.replace(line, scores={**line.scores, **high})

    page = changed(tree, early)[""]
    for name in ("wide", "narrow"):
        line = re.search(r'class="best" d="M34 ([\d.]+) [\d.]+ ([\d.]+)[ "]', page[page.index(f"chart chart-{name}") :])
        assert line is not None
        assert line[1] == line[2]


def test_the_ends_of_a_small_chart_are_told_apart(tmp_path: Path) -> None:
    """Where all values are close, their figures have as many decimals as that needs."""
    tree = snapshot_tree(tmp_path, runs=6, problems=12)
    history = history_of(tree)
    lines = [
        msgspec.structs.replace(
            line,
            scores={
                name: msgspec.structs.replace(score, tokens=60.6 + place / 20, latency=2.003 + place / 1000)
                for name, score in line.scores.items()
            },
        )
        for place, line in enumerate(history.lines)
    ]
    write_history(tree, msgspec.structs.replace(history, lines=lines))
    page = build(source(tree))["index.html"].decode()
    panels = re.findall(r'<svg class="chart panel".*?</svg>', page, re.DOTALL)
    ends = [re.findall(r'class="tick"[^>]*>([^<]*)<', panel) for panel in panels]
    assert len(ends) == 3
    assert all(low != high for low, high in ends), ends
    assert all(end.endswith(" s") for end in ends[-1])
