"""Split tests of the host: shares, cookies, and what is refused."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest

from tests.host_fixtures import SITE, Visitor, change, memory_fixture, source_fixture, visiting, visitor_fixture

if TYPE_CHECKING:
    from pathlib import Path

    from tests.made import GitFolder

__all__ = ["memory_fixture", "source_fixture", "visitor_fixture"]
SPLITS = f"/sites/{SITE}/traffic_splits"


@pytest.fixture(name="two")
def two_fixture(visitor: Visitor, source: GitFolder) -> Visitor:
    """Return a visitor of a host with a published deploy and one of another branch, which differ."""
    change(source, "snapshot-1", {"pages/index.html": "<h1>candidate</h1>"})
    visitor.build("live")
    visitor.build("snapshot-1")
    return visitor


def split(visitor: Visitor, share: int, *, start: bool = True) -> dict[str, Any]:
    """Make a split test that gives the candidate a share."""
    body = {"branch_tests": {"live": 100 - share, "snapshot-1": share}}
    answer = visitor.api("POST", SPLITS, json=body)
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()
    if start:
        assert visitor.api("POST", f"{SPLITS}/{made['id']}/publish").status_code == 204
    return made


def test_new_readers_are_split_by_the_shares(two: Visitor) -> None:
    """Of 400 readers without a cookie about the share of the candidate sees it; each gets a cookie."""
    split(two, 30)
    answers = [two.visit("") for _ in range(400)]
    seen = Counter(answer.text for answer in answers)
    # Five standard deviations of a binomial of 400 and 0.3.
    assert abs(seen["<h1>candidate</h1>"] - 120) < 46
    assert all(answer.headers["Set-Cookie"].startswith("nf_ab=0.") for answer in answers)


def test_reader_stays_where_the_cookie_says(two: Visitor) -> None:
    """A number falls into one share, on each page and each visit, and no new cookie is set."""
    split(two, 30)
    for number, wanted in (("0.10", "<h1>one</h1>"), ("0.69", "<h1>one</h1>"), ("0.71", "<h1>candidate</h1>")):
        answer = two.visit("", Cookie=f"nf_ab={number}")
        assert (answer.text, "Set-Cookie" in answer.headers) == (wanted, False)


def test_branch_name_opts_in(two: Visitor) -> None:
    """The name of a branch in the cookie shows that branch, whatever its share."""
    split(two, 0)
    assert two.visit("", Cookie="nf_ab=snapshot-1").text == "<h1>candidate</h1>"
    assert two.visit("", Cookie="nf_ab=live").text == "<h1>one</h1>"


@pytest.mark.parametrize("cookie", ["main", "nan", "1.5", "-1", "x" * 3000, "<script>"])
def test_cookie_that_means_nothing_is_drawn_anew(two: Visitor, cookie: str) -> None:
    """A cookie that is neither a share nor a branch of the test gets a new number."""
    split(two, 50)
    assert two.visit("", Cookie=f"nf_ab={cookie}").headers["Set-Cookie"].startswith("nf_ab=0.")


def test_addresses_of_deploys_are_not_split(two: Visitor) -> None:
    """A branch's and a deploy's own address show what they always showed."""
    split(two, 100)
    assert two.visit("").text == "<h1>candidate</h1>"
    assert two.visit("live").text == "<h1>one</h1>"
    assert "Set-Cookie" not in two.visit(two.published()).headers


def test_split_is_changed_while_it_runs_and_ended(two: Visitor) -> None:
    """New shares count at once, and after the end everybody sees the published deploy."""
    made = split(two, 0)
    changed = two.api("PUT", f"{SPLITS}/{made['id']}", json={"branch_tests": {"live": 0, "snapshot-1": 100}})
    assert changed.status_code == 201
    assert two.visit("").text == "<h1>candidate</h1>"
    assert two.api("POST", f"{SPLITS}/{made['id']}/unpublish").status_code == 204
    answer = two.visit("", Cookie="nf_ab=snapshot-1")
    assert (answer.text, "Set-Cookie" in answer.headers) == ("<h1>one</h1>", False)
    shown = two.api("GET", f"{SPLITS}/{made['id']}").json()
    assert (shown["active"], shown["unpublished_at"] is None) == (False, False)


def test_one_test_runs_at_a_time(two: Visitor) -> None:
    """A second test cannot start while one runs, and can when it has ended."""
    first, second = split(two, 10), split(two, 20, start=False)
    assert two.api("POST", f"{SPLITS}/{second['id']}/publish").status_code == 422
    two.api("POST", f"{SPLITS}/{first['id']}/unpublish")
    assert two.api("POST", f"{SPLITS}/{second['id']}/publish").status_code == 204
    assert [one["active"] for one in two.api("GET", SPLITS).json()] == [True, False]


@pytest.mark.parametrize(
    "shares",
    [
        {"live": 90, "snapshot-1": 20},
        {"live": 110, "snapshot-1": -10},
        {"live": 50.5, "snapshot-1": 49.5},
        {"live": True, "snapshot-1": 99},
        {"live": 90, "nowhere": 10},
        {"live": 100},
        [],
        None,
    ],
)
def test_shares_that_cannot_work_are_refused(two: Visitor, shares: object) -> None:
    """Percentages sum to 100, are whole, and belong to branches that are deployed."""
    assert two.api("POST", SPLITS, json={"branch_tests": shares}).status_code == 422
    assert two.api("GET", SPLITS).json() == []


def test_split_survives_a_restart(tmp_path: Path, source: GitFolder) -> None:
    """A host that starts again splits as before."""
    change(source, "snapshot-1", {"pages/index.html": "<h1>candidate</h1>"})
    with visiting(tmp_path / "state", source) as visitor:
        visitor.build("live")
        visitor.build("snapshot-1")
        split(visitor, 100)
    with visiting(tmp_path / "state", source) as visitor:
        assert visitor.visit("").text == "<h1>candidate</h1>"


def test_site_without_split_tests(tmp_path: Path, source: GitFolder) -> None:
    """A site that has no split tests answers 403."""
    with visiting(tmp_path / "state", source, split_tests=False) as visitor:
        answer = visitor.api("POST", SPLITS, json={"branch_tests": {"live": 50, "snapshot-1": 50}})
        assert answer.status_code == 403
