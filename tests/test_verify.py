from __future__ import annotations

import json
import time

import pytest

from publisher.errors import DeployError, NetworkError
from publisher.verify import MOST_UNREADABLE, require, verify
from publisher.web import Web
from tests.pages import RECORD, Pages, site_fixture

__all__ = ["site_fixture"]


def quick() -> Web:
    """Return a client that waits a second for a whole answer."""
    return Web(attempts=1, read_timeout=1.0, total=1.0)


def test_a_whole_site_has_no_problems(site: Pages) -> None:
    """Every file is as the manifest says."""
    site.files["index.html"] = b"<h1>x</h1>"
    site.list()
    assert require(verify(site.url, record_sha256=RECORD, web=quick)).problems == 0


def test_a_file_that_drips_is_a_finding(site: Pages) -> None:
    """It would take minutes: after the deadline it is unreadable, and the other files are compared all the same."""
    site.files |= {"slow.html": b"x" * 400, "index.html": b"good"}
    site.list()
    site.slow.add("slow.html")
    began = time.monotonic()
    report = verify(site.url, record_sha256=RECORD, web=quick)
    assert (report.unreadable, report.damaged, report.files) == (["slow.html"], 1, 3)
    assert time.monotonic() - began < 9
    with pytest.raises(DeployError) as caught:
        require(report)
    assert "unreadable: slow.html" in caught.value.detail


def test_a_file_over_its_limit_is_a_finding_and_asked_for_once(site: Pages) -> None:
    """What is larger than the manifest says by more than a megabyte is not read to its end, nor again."""
    site.files["index.html"] = b"x"
    site.list()
    site.files["index.html"] = b"x" * (2 << 20)
    report = verify(site.url, record_sha256=RECORD, web=lambda: Web(attempts=3, read_timeout=5.0))
    assert report.unreadable == ["index.html"]
    assert site.asked.count("index.html") == 1


def test_a_site_whose_files_all_drip_is_left_early(site: Pages) -> None:
    """Thousands of slow files must not take days."""
    site.files |= {f"{number:03d}.html": b"x" * 400 for number in range(60)}
    site.list()
    site.slow |= {name for name in site.files if name.endswith(".html")}
    report = verify(site.url, record_sha256=RECORD, web=quick)
    assert len(report.unreadable) == MOST_UNREADABLE


def test_a_host_that_goes_away_is_no_finding(site: Pages) -> None:
    """Where the manifest does not come any more, nothing can be said of the files."""
    site.files["index.html"] = b"x" * 400
    site.list()
    site.files["manifest.json"] += b" " * 400
    site.slow.add("index.html")

    def vanish() -> Web:
        if "manifest.json" in site.asked:
            site.slow.add("manifest.json")
        return quick()

    with pytest.raises(NetworkError):
        verify(site.url, record_sha256=RECORD, web=vanish)


@pytest.mark.parametrize(
    "manifest",
    [
        b"",
        b"[" * 100_000,
        b'{"files":{}}',
        b'{"schema":2,"files":{}}',
        b'{"schema":1,"files":{"a":{"sha256":"x","size":"1"}}}',
        b'{"schema":1,"files":{"a":{"sha256":"x","size":' + b"9" * 5000 + b"}}}",
    ],
)
def test_a_hostile_manifest_is_one_message(site: Pages, manifest: bytes) -> None:
    """Deep nesting, huge numbers, other versions and wrong types come to a DeployError."""
    site.files["manifest.json"] = manifest
    with pytest.raises(DeployError):
        verify(site.url, record_sha256=RECORD, web=quick)


def test_hostile_entries_of_a_manifest_are_findings(site: Pages) -> None:
    """Negative and huge sizes, and paths that leave the site, are files that are not as listed."""
    site.list()
    listed = json.loads(site.files["manifest.json"])
    for name in ("../up.html", "?query", "line\nbreak", "//elsewhere.invalid/x"):
        listed["files"][name] = {"sha256": "0" * 64, "size": -(2**60)}
    site.files["manifest.json"] = json.dumps(listed).encode()
    assert len(verify(site.url, record_sha256=RECORD, web=quick).missing) == 4


def test_a_site_of_another_record_is_found_out(site: Pages) -> None:
    """Whole, but not what the ledger says."""
    site.list()
    with pytest.raises(DeployError, match="another record"):
        verify(site.url, record_sha256="b" * 64, web=quick)
