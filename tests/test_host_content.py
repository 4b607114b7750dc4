from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from publisher.host.rules.content_types import content_type
from publisher.host.rules.matching import Answer, headers_for, resolve
from publisher.host.rules.routing import headers_from_toml, parse_headers, parse_redirects, redirects_from_toml
from publisher.host.store.records import SCHEMA, Entry, HeaderRule, Manifest
from publisher.host.store.store import branch_label
from tests.host_fixtures import (
    Visitor,
    change,
    idle_fixture,
    memory_fixture,
    source_fixture,
    visitor_fixture,
)

if TYPE_CHECKING:
    from tests.made import GitFolder

__all__ = ["idle_fixture", "memory_fixture", "source_fixture", "visitor_fixture"]
FILES = ("index.html", "404.html", "a.html", "b/index.html", "c.txt", "d.html", "d/index.html")


def answer(redirects: str, path: str, query: str = "", files: tuple[str, ...] = FILES) -> Answer:
    """Return what a path answers with in a deploy that has these redirects."""
    rules, problems = parse_redirects(redirects)
    assert problems == []
    manifest = Manifest(schema=SCHEMA, files={name: Entry(name, 1) for name in files}, redirects=tuple(rules))
    return resolve(manifest, path, query)


@pytest.mark.parametrize(
    ("path", "status", "shown"),
    [
        ("/", 200, "index.html"),
        ("/index.html", 200, "index.html"),
        ("/a", 200, "a.html"),
        ("/a.html", 200, "a.html"),
        ("/a/", 200, "a.html"),
        ("/b", 301, "/b/"),
        ("/b/", 200, "b/index.html"),
        ("/b/index.html", 200, "b/index.html"),
        ("/c.txt", 200, "c.txt"),
        ("/d", 200, "d.html"),
        ("/d/", 200, "d/index.html"),
        ("/x", 404, "404.html"),
        ("//a", 404, "404.html"),
        ("/../a", 404, "404.html"),
        ("/404", 200, "404.html"),
    ],
)
def test_pretty_addresses(path: str, status: int, shown: str) -> None:
    """A page is found by its name, without `.html`, and by its folder, which gets a trailing slash."""
    found = answer("", path)
    assert (found.status, found.location or found.name) == (status, shown)


@pytest.mark.parametrize(
    ("rule", "path", "query", "status", "shown"),
    [
        ("/old /new", "/old", "", 301, "/new"),
        ("/old /new", "/old/", "", 301, "/new"),
        ("/old /new 302", "/old", "x=1", 302, "/new?x=1"),
        ("/old /new#part", "/old", "x=1", 301, "/new?x=1#part"),
        ("/old https://example.com/x 308", "/old", "", 308, "https://example.com/x"),
        ("/a /new", "/a", "", 200, "a.html"),
        ("/a /new 301!", "/a", "", 301, "/new"),
        ("/news/* /blog/:splat", "/news/1/2", "", 301, "/blog/1/2"),
        ("/news/* /blog/:splat", "/news", "", 301, "/blog/"),
        ("/news/* /blog/:splat", "/newsletter", "", 404, "404.html"),
        ("/n/:year/:id /b/:id-:year", "/n/2026/x", "", 301, "/b/x-2026"),
        ("/x/* /:splat", "/x//evil.example", "", 301, "/evil.example"),
        ("/n/:a /b/:a", "/n/\u00e4\r\nb", "", 301, "/b/%C3%A4%0D%0Ab"),
        ("/app/* /index.html 200", "/app/deep", "", 200, "index.html"),
        ("/app/* /b 200", "/app/deep", "", 200, "b/index.html"),
        ("/app /none 200", "/app", "", 404, "404.html"),
        ("/gone /c.txt 410", "/gone", "", 410, "c.txt"),
        ("/hide/* /404.html 404!", "/hide/x", "", 404, "404.html"),
        ("/api/* https://example.com/:splat 200", "/api/x", "", 501, ""),
        ("/q id=:id /n/:id", "/q", "id=7", 301, "/n/7"),
        ("/q id=:id /n/:id", "/q", "id=7&x=1", 404, "404.html"),
        ("/q id=:id /n/:id", "/q", "", 404, "404.html"),
        ("/q kind=a /n", "/q", "kind=b", 404, "404.html"),
        ("/old /one\n/old /two", "/old", "", 301, "/one"),
        ("/old /é☃?a=ü#ñ", "/old", "", 301, "/%C3%A9%E2%98%83?a=%C3%BC#%C3%B1"),
        ("# a comment\n\n/old /new 301 # and another", "/old", "", 301, "/new"),
    ],
)
def test_redirects(rule: str, path: str, query: str, status: int, shown: str) -> None:
    """Redirects follow Netlify's documented rules: first match, shadowing, force, splats, placeholders, parameters."""
    found = answer(rule, path, query)
    assert (found.status, found.location or found.name) == (status, shown)


@pytest.mark.parametrize(
    "rule",
    [
        "/old",
        "/old /new 307",
        "/old /new 301 Country=de",
        "https://a.example/* /x",
        "/a/*/b /c",
        "/:a/:a /c",
        "/.netlify/x /y",
        "old /new",
        "/old new",
    ],
)
def test_impossible_redirects_are_left_out(rule: str) -> None:
    """A rule that is wrong, or that this host cannot follow, is left out and named; the deploy goes on."""
    rules, problems = parse_redirects(rule)
    assert rules == []
    assert problems[0].startswith("_redirects, line 1: ")


def test_redirect_tables() -> None:
    """`[[redirects]]` mean the same as lines of `_redirects`."""
    tables: list[dict[str, Any]] = [
        {"from": "/a", "to": "/b", "status": 302, "force": True},
        {"from": "/q", "to": "/n/:x", "query": {"x": ":x"}},
        {"from": "/x"},
        {"from": 3, "to": "/x"},
        {"from": "/x", "to": "/y", "conditions": {"Country": ["de"]}},
    ]
    rules, problems = redirects_from_toml(tables)
    assert rules[:2] == parse_redirects("/a /b 302!\n/q x=:x /n/:x")[0]
    assert len(problems) == 2


def test_headers_file() -> None:
    """`_headers` gives headers to paths; the later rule wins and repeated headers are joined."""
    text = "/*\n  X-A: one\n  Cache-Control: max-age=1\n  Cache-Control: public\n\n/b/*\n  X-A: two # no comment\n"
    rules, problems = parse_headers(text)
    assert problems == []
    assert headers_for(tuple(rules), "/a") == {"x-a": "one", "cache-control": "max-age=1, public"}
    assert headers_for(tuple(rules), "/b/c")["x-a"] == "two # no comment"
    assert headers_for(tuple(rules), "/b")["x-a"] == "two # no comment"


@pytest.mark.parametrize(
    "line",
    [
        "Content-Length: 3",
        "Set-Cookie: a=b",
        "Location: /x",
        "no header",
        "bad name: x",
        "X-A:",
    ],
)
def test_impossible_headers_are_left_out(line: str) -> None:
    """A header that Netlify ignores, or that is none, is left out and named."""
    rules, problems = parse_headers(f"/*\n  {line}\n")
    assert rules == []
    assert problems[0].startswith("_headers, line 2: ")


def test_a_header_rule_with_many_stars_is_decided_at_once() -> None:
    """The time does not depend on how many ways there are to share a path out among the stars."""
    rules = (HeaderRule("/" + "*a" * 40 + "b", {"X-A": "1"}),)
    started = time.process_time()
    assert headers_for(rules, "/" + "a" * 5000) == {}
    assert time.process_time() - started < 1
    assert headers_for(rules, "/" + "a" * 5000 + "b") == {"x-a": "1"}


@given(
    rule=st.lists(st.sampled_from(["/", "a", "b", "*", ":x", "\\"]), max_size=9).map(
        lambda parts: "/" + "".join(parts)
    ),
    path=st.text(alphabet="/ab\\", max_size=9).map(lambda text: "/" + text),
)
def test_header_rules_mean_what_one_expression_would_say(rule: str, path: str) -> None:
    """Piece by piece a rule matches exactly the paths that a single regular expression with `.*` would match."""
    splat = rule.endswith("/*")
    parts = (rule[:-2] if splat else rule).split("/")
    expression = "/".join(
        "[^/]+" if part.startswith(":") else ".*".join(map(re.escape, part.split("*"))) for part in parts
    )
    expected = re.fullmatch(expression + ("(?:/.*)?" if splat else "/?"), path, re.DOTALL) is not None
    assert bool(headers_for((HeaderRule(rule, {"X-A": "1"}),), path)) == expected


def test_header_tables() -> None:
    """`[[headers]]` give headers, also several of one name."""
    rules, problems = headers_from_toml([{"for": "/*.css", "values": {"X-A": ["1", "2"], "Server": "x"}}])
    assert problems == ["netlify.toml, [[headers]] 1: the header Server cannot be set"]
    assert rules == []
    rules, problems = headers_from_toml([{"for": "/*.css", "values": {"X-A": ["1", "2"]}}, {"for": "x", "values": {}}])
    assert headers_for(tuple(rules), "/deep/a.css") == {"x-a": "1, 2"}
    assert headers_for(tuple(rules), "/a.js") == {}
    assert len(problems) == 1


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("a.html", "text/html; charset=UTF-8"),
        ("a/b.css", "text/css; charset=UTF-8"),
        ("A.JSON", "application/json"),
        ("a.svg", "image/svg+xml"),
        ("a.txt", "text/plain; charset=UTF-8"),
        ("samples.jsonl.gz", "application/gzip"),
        ("a.png", "image/png"),
        ("LICENSE", "application/octet-stream"),
        ("a.d/x", "application/octet-stream"),
        ("feed.xml", "application/xml"),
    ],
)
def test_content_types(name: str, expected: str) -> None:
    """A file's type follows from its name alone, the same on every machine."""
    assert content_type(name) == expected


@pytest.mark.parametrize(
    ("branch", "label"),
    [
        ("snapshot-0123456789ab", "snapshot-0123456789ab"),
        ("Feature/One_two", "feature-one-two"),
        ("x" * 80, "x" * 56),
    ],
)
def test_branch_labels(branch: str, label: str) -> None:
    """A branch's part of an address is lower case, has dashes for the rest, and fits into a label of 63 characters."""
    assert branch_label(branch, "bench") == label


def test_deploy_is_served_at_three_addresses(visitor: Visitor) -> None:
    """A published deploy is at its own address, at its branch's and at the site's."""
    deploy = visitor.build("live")
    texts = {visitor.visit(label).text for label in (deploy["id"], "live", "")}
    assert texts == {"<h1>one</h1>"}
    assert deploy["links"]["permalink"] == f"http://{deploy['id']}--bench.localhost:{visitor.info.port}"


def test_permalink_never_changes(visitor: Visitor, source: GitFolder) -> None:
    """A later build of the branch changes the branch's address and leaves the older deploy's as it was."""
    older = visitor.build("snapshot-1")
    change(source, "snapshot-1", {"pages/index.html": "<h1>two</h1>"})
    visitor.build("snapshot-1")
    assert visitor.visit(older["id"]).text == "<h1>one</h1>"
    assert visitor.visit("snapshot-1").text == "<h1>two</h1>"


def test_failed_build_leaves_the_branch_as_it_was(visitor: Visitor, source: GitFolder) -> None:
    """A branch's address shows its newest successful deploy."""
    visitor.build("snapshot-1")
    change(source, "snapshot-1", {"build.sh": "exit 1"})
    visitor.build("snapshot-1")
    assert visitor.visit("snapshot-1").text == "<h1>one</h1>"


def test_headers_and_redirects_of_a_deploy(visitor: Visitor, source: GitFolder) -> None:
    """The tree's `_headers` and `_redirects` are honoured before netlify.toml's, and are not served themselves."""
    toml = (
        '[build]\ncommand = "bash build.sh"\npublish = "dist"\n'
        '[[redirects]]\nfrom = "/old"\nto = "/three"\n[[redirects]]\nfrom = "/older"\nto = "/four"\n'
        '[[headers]]\nfor = "/*"\n[headers.values]\nX-Two = "2"\n'
    )
    change(
        source,
        "snapshot-2",
        {
            "netlify.toml": toml,
            "pages/_redirects": "/old /two 302\n",
            "pages/_headers": "/*\n  X-One: 1\n  Cache-Control: no-store\n",
        },
    )
    visitor.build("snapshot-2")
    page = visitor.visit("snapshot-2")
    assert (page.headers["X-One"], page.headers["X-Two"], page.headers["Cache-Control"]) == ("1", "2", "no-store")
    assert visitor.visit("snapshot-2", "/old").headers["Location"] == "/two"
    assert visitor.visit("snapshot-2", "/older?x=1").headers["Location"] == "/four?x=1"
    assert [visitor.visit("snapshot-2", path).status_code for path in ("/_headers", "/_redirects")] == [404, 404]


def test_headers_may_be_in_any_language(visitor: Visitor, source: GitFolder) -> None:
    """Their values are sent as UTF-8."""
    change(source, "snapshot-2", {"pages/_headers": "/*\n  X-One: é ☃\n"})
    visitor.build("snapshot-2")
    assert visitor.visit("snapshot-2").headers["X-One"].encode("latin-1").decode() == "é ☃"


def test_a_path_has_a_bounded_number_of_headers() -> None:
    """So reading a file of headers takes no longer than the file."""
    rules, problems = parse_headers("/*\n" + "".join(f"X-{number}: 1\n" for number in range(120)))
    assert (len(rules[0].values), len(problems)) == (100, 20)
    assert problems[0] == "_headers, line 102: a path has more than 100 headers"


def test_bad_rules_are_in_the_log(visitor: Visitor, source: GitFolder) -> None:
    """A bad rule does not fail the deploy; the log names it."""
    change(source, "snapshot-2", {"pages/_redirects": "/old /new 307\n"})
    deploy = visitor.build("snapshot-2")
    assert deploy["state"] == "ready"
    assert "_redirects, line 1: the status 307" in visitor.log(deploy["id"])


def test_etag_saves_the_body(visitor: Visitor) -> None:
    """A file's ETag is its digest, and whoever has it gets 304 and no body."""
    deploy = visitor.build("snapshot-1")
    page = visitor.visit(deploy["id"])
    again = visitor.visit(deploy["id"], If_None_Match=f'W/"other", {page.headers["ETag"]}')
    assert (again.status_code, again.content, again.headers["ETag"]) == (304, b"", page.headers["ETag"])
    assert page.headers["Cache-Control"] == "public, max-age=0, must-revalidate"
    assert page.headers["Content-Type"] == "text/html; charset=UTF-8"


def test_head_has_headers_only(visitor: Visitor) -> None:
    """HEAD answers what GET would, without the body."""
    deploy = visitor.build("snapshot-1")
    head = visitor.visit(deploy["id"], method="HEAD")
    assert (head.status_code, head.content, head.headers["Content-Length"]) == (200, b"", "12")


def test_large_file_is_sent_in_pieces(visitor: Visitor, source: GitFolder) -> None:
    """A file of some megabytes arrives whole, with its digest as its ETag."""
    change(source, "snapshot-2", {"build.sh": "mkdir dist; head -c 3000000 /dev/zero > dist/zero.bin"})
    visitor.build("snapshot-2")
    answer = visitor.visit("snapshot-2", "/zero.bin")
    assert len(answer.content) == 3_000_000
    assert visitor.visit("snapshot-2", "/zero.bin", If_None_Match=answer.headers["ETag"]).status_code == 304


def test_own_not_found_page(visitor: Visitor, source: GitFolder) -> None:
    """A missing page shows the deploy's 404.html with the status 404."""
    change(source, "snapshot-2", {"pages/404.html": "lost"})
    visitor.build("snapshot-2")
    missing = visitor.visit("snapshot-2", "/nothing")
    assert (missing.status_code, missing.text) == (404, "lost")


def test_sites_are_read_only(visitor: Visitor) -> None:
    """A deploy answers GET and HEAD, and POST only where a form is sent."""
    visitor.build("snapshot-1")
    assert visitor.visit("snapshot-1", method="POST").status_code == 405


def test_hidden_files_are_not_published(visitor: Visitor, source: GitFolder) -> None:
    """Hidden files and folders are left out, `.well-known` is not."""
    change(source, "snapshot-2", {"pages/.env": "x", "pages/.git2/config": "x", "pages/.well-known/a.txt": "known"})
    visitor.build("snapshot-2")
    assert visitor.visit("snapshot-2", "/.env").status_code == 404
    assert visitor.visit("snapshot-2", "/.git2/config").status_code == 404
    assert visitor.visit("snapshot-2", "/.well-known/a.txt").text == "known"


def test_file_names_may_be_in_any_language(visitor: Visitor, source: GitFolder) -> None:
    """A file whose name is not ASCII is served at its percent-encoded address."""
    change(source, "snapshot-2", {"pages/größe 1.txt": "x"})
    visitor.build("snapshot-2")
    assert visitor.visit("snapshot-2", "/gr%C3%B6%C3%9Fe%201.txt").text == "x"


def test_search_engines_are_kept_off_old_deploys(visitor: Visitor) -> None:
    """A permalink that is not published says `noindex`; the published deploy and a branch's address do not."""
    snapshot = visitor.build("snapshot-1")
    live = visitor.build("live")
    assert visitor.visit(snapshot["id"]).headers["X-Robots-Tag"] == "noindex"
    assert "X-Robots-Tag" not in visitor.visit("snapshot-1").headers
    assert "X-Robots-Tag" not in visitor.visit(live["id"]).headers


@pytest.mark.parametrize("label", ["0" * 24, "nothing", "UPPER", "snapshot-1--other"])
def test_unknown_address_is_not_found(idle: Visitor, label: str) -> None:
    """An address that no deploy has answers 404."""
    assert idle.visit(label).status_code == 404
