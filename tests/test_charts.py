from __future__ import annotations

import gzip
import itertools
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from publisher.render.charts import COLUMN, FULL_DETAIL, NARROW, WIDE, Frame, trend
from publisher.render.figures import gauge, level, tiles
from publisher.render.marks import Event, Mark, Shape
from publisher.render.svg import element, markup, number


def mark(score: float = 70.0, shape: Shape = "kept", **more: Any) -> Mark:
    """Return a run whose interval is four points to each side."""
    value: dict[str, Any] = {
        "low": score - 4,
        "high": score + 4,
        "title": f"run {score}",
        "started": "abcdef0",
        "href": "https://x--y.z" if shape == "kept" else "",
    }
    return Mark(score, shape=shape, **(value | more))


def drawn(
    marks: list[Mark], threshold: float | None = None, frame: Frame = WIDE, best_before: float | None = None
) -> ET.Element:
    """Return a chart, parsed."""
    picture = trend(
        marks, frame, name="t", title="Title", description="Words", threshold=threshold, best_before=best_before
    )
    return ET.fromstring(picture)  # noqa: S314 - our own


def classes(picture: ET.Element, name: str) -> list[ET.Element]:
    """Return the elements that have a class."""
    return [node for node in picture.iter() if name in node.get("class", "").split()]


def test_each_shape_is_drawn_in_its_own_way_and_says_what_it_is() -> None:
    """Kept runs are dots that link, rejected ones crosses, undecided ones diamonds, unreadable ones stones."""
    picture = drawn([mark(), mark(60, "rejected"), mark(65, "inconclusive"), mark(0, "unreadable"), mark(72, own=True)])
    links = list(picture.iter("a"))
    assert [link.get("href") for link in links] == ["https://x--y.z"] * 2
    assert [link.findtext("title") for link in links] == ["run 70.0", "run 72"]
    assert len(classes(picture, "ring")) == 1
    for shape in ("rejected", "inconclusive", "unreadable"):
        (node,) = (group for group in picture.iter("g") if group.find(f"path[@class='mark {shape}']") is not None)
        assert node.findtext("title", "").startswith("run")


def test_a_kept_run_without_an_address_is_no_link() -> None:
    """A mark whose snapshot has no known address is drawn all the same."""
    picture = drawn([mark(href="")])
    assert not list(picture.iter("a"))
    assert len(classes(picture, "kept")) == 1


def test_the_group_is_named_for_screen_readers_and_hides_no_link() -> None:
    """Title and description by reference, and no role that would swallow the links."""
    picture = drawn([mark()])
    assert picture.get("role") == "group"
    ids = {node.get("id"): node.text for node in picture.iter() if node.get("id")}
    assert ids[picture.get("aria-labelledby")] == "Title"
    assert ids[picture.get("aria-describedby")] == "Words"


@pytest.mark.parametrize(
    ("scores", "threshold", "ticks"),
    [
        ([70, 74], None, ["66", "68", "70", "72", "74", "76", "78"][:7]),
        ([50, 99], None, ["40", "60", "80", "100"]),
        ([3], None, ["0", "2", "4", "6", "8"][:5]),
        ([90], 40.0, ["40", "60", "80", "100"]),
    ],
)
def test_the_axis_ends_on_round_numbers_and_never_leaves_0_to_100(
    scores: list[float], threshold: float | None, ticks: list[str]
) -> None:
    """Ticks are round, hold every interval and the threshold, and stay within what a score can be."""
    shown = [node.text for node in classes(drawn([mark(score) for score in scores], threshold), "tick")]
    assert shown[0] is not None
    assert float(shown[0] or 0) <= min(*scores, threshold or 100) - (0 if threshold else 3)
    assert float(shown[-1] or 0) <= 100
    assert len(shown) <= 8
    if threshold or len(scores) > 1:
        assert shown == ticks or len(shown) >= 3


def test_the_threshold_is_drawn_where_the_gate_has_one() -> None:
    """One line with its figure, or none."""
    assert len(classes(drawn([mark()], 60.0), "threshold")) == 1
    assert classes(drawn([mark()], 60.0), "threshold-label")[0].text == "gate 60.0"
    assert not classes(drawn([mark()]), "threshold")


def test_the_best_line_only_climbs_on_kept_runs() -> None:
    """A rejected run that scored higher does not raise what is best so far."""
    heights = best_line(drawn([mark(60), mark(95, "rejected"), mark(70)]))
    assert heights == sorted(heights, reverse=True)
    assert len(set(heights)) == 2


def best_line(picture: ET.Element) -> list[float]:
    """Return the heights in pixels, from the top, of the line of the best kept score."""
    return [float(value) for value in classes(picture, "best")[0].get("d", "").removeprefix("M").split()[1::2]]


def test_the_best_line_knows_the_runs_before_the_chart() -> None:
    """A window that starts after the best run shows that best from its left edge, and a lower run does not reset it."""
    picture = drawn([mark(60), mark(65), mark(63)], best_before=80.0)
    dots = [float(node.get("cy", "0")) for node in classes(picture, "mark")]
    assert len(set(best_line(picture))) == 1
    assert best_line(picture)[0] < min(dots)
    assert classes(picture, "best")[0].get("d", "").startswith(f"M{WIDE.left} ")


@pytest.mark.parametrize("frame", [WIDE, NARROW])
def test_an_outlier_does_not_flatten_everything_else(frame: Frame) -> None:
    """One run at 0 among runs near 98 stands on the edge and is counted; the others share the height."""
    near = [mark(98 + place % 3 / 2, low=97.0, high=99.5) for place in range(6)]
    picture = drawn([*near[:3], mark(0.4, "rejected", low=0.0, high=1.0), *near[3:]], threshold=50.0, frame=frame)
    heights = {float(node.get("cy", "0")) for node in classes(picture, "kept") if node.tag == "circle"}
    assert max(heights) - min(heights) > 50
    assert [node.text for node in classes(picture, "beyond")] == ["1 run and the gate at 50.0 below this scale"]
    assert not classes(picture, "threshold")
    assert len(classes(picture, "break")) == 1
    assert [group.findtext("title") for group in picture.iter("g")] == ["run 0.4"]
    (cross,) = classes(picture, "rejected")
    assert float(cross.get("d", "").split()[1].split("l")[0]) < frame.height - frame.bottom


def test_runs_of_one_day_are_told_apart_by_their_commits() -> None:
    """A chart is dated; where all dates are the same, the commits say more."""
    same = [mark(place, started="1 May 2026", short=f"abc{place}") for place in range(3)]
    assert [node.text for node in classes(drawn(same), "name")] == ["abc0", "abc1", "abc2"]
    other = [*same, mark(3, started="2 May 2026", short="abc3")]
    assert [node.text for node in classes(drawn(other), "name")][-2:] == ["1 May 2026", "2 May 2026"]


def test_an_axis_holds_everything_where_nothing_lies_far_off() -> None:
    """Few runs, runs that spread evenly, and the run being shown are never off the axis."""
    for some in (
        [mark(2), mark(98)],
        [mark(float(10 * place)) for place in range(10)],
        [*(mark(98, low=97.0, high=99.0) for _ in range(8)), mark(10, own=True)],
    ):
        assert not classes(drawn(some), "beyond")


def test_no_mark_lies_outside_the_drawing() -> None:
    """Labels and dots of many runs stay inside both frames."""
    for frame in (WIDE, NARROW):
        picture = drawn([mark(20 + place % 70) for place in range(150)], frame=frame)
        for node in [*picture.iter("circle"), *classes(picture, "name")]:
            assert 0 <= float(node.get("cx") or node.get("x") or -1) <= frame.width


def columns(picture: ET.Element) -> list[tuple[float, float]]:
    """Return the left and right edges of what can be hit in a chart's links, in their order."""
    found = [link.find("rect[@class='hit']") for link in picture.iter("a")]
    return [
        (float(hit.get("x", "")), float(hit.get("x", "")) + float(hit.get("width", "")))
        for hit in found
        if hit is not None
    ]


@pytest.mark.parametrize("frame", [WIDE, NARROW])
def test_every_link_can_be_hit_in_a_column_of_its_own(frame: Frame) -> None:
    """Columns are as high as the plot, do not overlap, and hold their own mark; a lone one is 24 pixels wide."""
    some = [mark(60 + place, href="" if place % 5 == 3 else f"https://x--y.z/{place}") for place in range(20)]
    picture = drawn(some, frame=frame)
    edges = columns(picture)
    assert len(edges) == 16
    for (_, right), (left, _) in itertools.pairwise(edges):
        assert right <= left + 0.1
    for link, (left, right) in zip(picture.iter("a"), edges, strict=True):
        dot = link.find("circle[@class='mark kept']")
        assert dot is not None
        assert left <= float(dot.get("cx", "")) <= right
    ((left, right),) = columns(drawn([mark(60, "rejected", href=""), mark(61), mark(62, "rejected", href="")]))
    assert right - left == 24


def test_a_thousand_runs_are_columns_that_lead_to_the_tables() -> None:
    """Beyond 100 runs there is one path per shape, a band instead of whiskers, and links that are wide enough."""
    many = [
        mark(20 + place / 100 - place % 3, "rejected" if place % 7 == 3 else "kept", row=f"../#run-{place}")
        for place in range(5_000)
    ]
    picture = drawn(many)
    assert len(classes(picture, "rejected")) == 1
    assert len(classes(picture, "band")) == 1
    assert not classes(picture, "whisker")
    links = list(picture.iter("a"))
    assert links[-1].get("href") == "../#run-4999"
    assert "kept, best" in links[-1].findtext("title", "")
    assert min(right - left for left, right in columns(picture)) >= COLUMN - 0.1
    few = [mark(50 - place / 100) for place in range(FULL_DETAIL + 1)]
    assert not list(drawn(few).iter("a"))
    assert len(list(drawn(few[:-1]).iter("a"))) == FULL_DETAIL
    crowd = [mark(70 - place % 9 - place / 200, "rejected" if place % 4 else "kept") for place in range(10_000)]
    assert len(gzip.compress(ET.tostring(drawn(crowd)))) < 20_000


def test_what_happened_between_runs_is_marked_below_them() -> None:
    """A wedge before the run where something else begins, and an arrow from the run that was left to the older one."""
    happened = [Event("model", 2, "other model"), Event("suite", 1, "new suite"), Event("rollback", 3, "back", -1)]
    picture = trend(
        [mark(60 + place) for place in range(4)],
        WIDE,
        name="t",
        title="Title",
        description="Words",
        threshold=None,
        events=happened,
    )
    found = {node.get("class"): node for node in classes(ET.fromstring(picture), "event")}  # noqa: S314 - our own
    assert {kind.split()[1]: node.findtext("title") for kind, node in found.items() if kind} == {
        "model": "other model",
        "suite": "new suite",
        "rollback": "back",
    }
    assert f"H{WIDE.left}m" in found["event rollback"].get("d", "")


def test_one_run_and_none() -> None:
    """A history of one run is a chart; an empty one does not fall over."""
    assert len(classes(drawn([mark()]), "mark")) == 1
    assert not classes(drawn([]), "mark")
    assert len(classes(drawn([mark(100, low=100.0, high=100.0)]), "tick")) >= 2
    assert len(classes(drawn([mark(0, low=0.0, high=0.0)]), "tick")) >= 2


def test_titles_are_escaped() -> None:
    """What a stranger wrote ends up as text."""
    picture = trend(
        [mark(title="</title><script>x</script>")], WIDE, name="t", title="&", description="<", threshold=None
    )
    assert "<script" not in picture
    assert "&lt;/title&gt;&lt;script&gt;" in picture


def test_gauge_and_tiles() -> None:
    """The gauge holds its marks inside; a tile map has one tile per problem, by level."""
    picture = ET.fromstring(gauge(120, -5, 101, threshold=60, title="t"))  # noqa: S314 - our own
    xs = [float(node.get(key, "0")) for node in picture for key in ("x1", "x2", "cx") if node.get(key)]
    assert min(xs) >= 0
    assert max(xs) <= 240
    shown = ET.fromstring(tiles([1.0, 0.0, 0.5, 0.1, None], title="five"))  # noqa: S314 - our own
    found = {node.get("class") for node in shown if node.tag == "path"}
    assert found == {"tile-ground", "tile-all", "tile-most", "tile-some", "tile-none", "tile-unscored"}
    assert [level(share) for share in (None, 0, 0.49, 0.5, 1)] == ["unscored", "none", "some", "most", "all"]


def test_elements_and_numbers() -> None:
    """Attributes are escaped, None leaves one out, and a coordinate has at most one decimal."""
    assert markup(element("a", "<b>", href='"&', title=None, aria_hidden="true")) == (
        '<a href="&quot;&amp;" aria-hidden="true">&lt;b&gt;</a>'
    )
    assert [number(value) for value in (1.0, -0.04, 2.25, 3.14)] == ["1", "0", "2.2", "3.1"]
