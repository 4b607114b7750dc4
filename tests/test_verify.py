from __future__ import annotations

import http.server
import json
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest

from publisher.errors import DeployError, NetworkError
from publisher.files import sha256_hex
from publisher.verify import MOST_UNREADABLE, require, verify
from publisher.web import Web

RECORD = "a" * 64


def quick() -> Web:
    """Return a client that waits two seconds for a whole answer."""
    return Web(attempts=1, read_timeout=0.2)


@dataclass
class Pages:
    """A site: its files, and the paths whose bodies come a byte at a time."""

    files: dict[str, bytes] = field(default_factory=dict)
    slow: set[str] = field(default_factory=set)
    url: str = ""
    asked: list[str] = field(default_factory=list)

    def list(self, **more: object) -> None:
        """Write the manifest of the files that are there."""
        identity = {"schema": 1, "run_id": "r", "branch": "b", "snapshot": "s", "commit": "c", "record_sha256": RECORD}
        self.files["snapshot.json"] = json.dumps(identity).encode()
        listed = {
            name: {"sha256": sha256_hex(data), "size": len(data)}
            for name, data in self.files.items()
            if name != "manifest.json"
        }
        self.files["manifest.json"] = json.dumps({"schema": 1, "files": listed} | more).encode()


@pytest.fixture(name="site")
def site_fixture() -> Iterator[Pages]:
    """Serve a site on loopback."""
    pages = Pages()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            name = self.path.removeprefix("/")
            pages.asked.append(name)
            data = pages.files.get(name)
            self.send_response(200 if data is not None else 404)
            self.send_header("Content-Type", "application/json" if name.endswith(".json") else "text/html")
            self.send_header("Content-Length", str(len(data or b"")))
            self.end_headers()
            try:
                for byte in data or b"" if name in pages.slow else ():
                    self.wfile.write(bytes([byte]))
                    self.wfile.flush()
                    time.sleep(0.03)
                if name not in pages.slow:
                    self.wfile.write(data or b"")
            except OSError:
                pass

        def log_message(self, *_: object) -> None:
            """Stay quiet."""

    class Server(http.server.ThreadingHTTPServer):
        daemon_threads = True
        block_on_close = False
        # The usual 5 drops the connections of 8 threads at once, which then wait a second for TCP to try again.
        request_queue_size = 64

    with Server(("127.0.0.1", 0), Handler) as server:
        pages.url = f"http://127.0.0.1:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        yield pages
        server.shutdown()
        thread.join()


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
    assert time.monotonic() - began < 4
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
