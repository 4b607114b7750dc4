"""The files for programs: JSON, the badge's figures, the feed's entries, and what the host is told."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from publisher.files import canonical_json
from publisher.render import feedback, split, text, trying
from publisher.render.gather import prefixed
from publisher.render.instances import FILE
from publisher.render.svg import number
from publisher.render.tables import permanent
from publisher.render.write import CONFIGURATION
from publisher.schema import SiteDeploy, SiteSnapshot

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from publisher.render.gather import Snapshot, Source
    from publisher.schema import HistoryLine

FEED_ENTRIES = 30
OPEN = (
    "snapshot.json",
    "history.json",
    "manifest.json",
    "deploy.json",
    "badge.json",
    "badge.svg",
    "feed.xml",
    "metrics.txt",
    "every_eval_ever.json",
    "attestation.json",
    FILE,
)
"""What other sites may read."""
_GREEN, _RED, _GREY = "#2d6a8f", "#a8480b", "#5f6368"
_COLOURS = {"kept": _GREEN, "rejected": _RED}


@dataclass(frozen=True, slots=True)
class BadgeView:
    """The badge: two texts, and where they go."""

    label: str
    message: str
    colour: str
    width: int
    left: int
    right: int
    label_x: str
    message_x: str


@dataclass(frozen=True, slots=True)
class Entry:
    """One snapshot in the feed."""

    address: str
    title: str
    updated: str
    summary: str


@dataclass(frozen=True, slots=True)
class FeedView:
    """The feed of kept snapshots, newest first."""

    title: str
    address: str
    updated: str
    entries: tuple[Entry, ...]


def snapshot_json(snapshot: Snapshot) -> bytes:
    """Return `snapshot.json`: the record and the verdict whole, the record's digest, and where everything is."""
    named = ("manifest.json", "history.json", "badge.svg", "feed.xml")
    links = {name.partition(".")[0]: f"{snapshot.pin}/{name}" for name in named}
    links |= {"site": f"{snapshot.main}/", "permanent": f"{snapshot.pin}/"}
    return canonical_json(
        SiteSnapshot(
            run_id=snapshot.record.run_id,
            branch=snapshot.branch,
            snapshot=snapshot.commit,
            commit=snapshot.record.commit.sha,
            record=snapshot.record,
            record_sha256=snapshot.record_sha256,
            verdict=snapshot.verdict,
            links=links,
        )
    )


def deploy_json(snapshot: Snapshot, source: Source) -> bytes:
    """Return `deploy.json`, the one file that knows which deploy it is in."""
    permalink = text.address(source.deploy_url) or (
        prefixed(snapshot.main, source.deploy_id) if source.deploy_id else ""
    )
    return canonical_json(
        SiteDeploy(deploy_id=source.deploy_id, permalink=permalink, address=snapshot.pin, site=snapshot.main)
    )


def badge(snapshot: Snapshot) -> BadgeView:
    """Return the badge: the headline suite and its score with the standard error."""
    result = snapshot.headline
    message = f"{text.points(result.score)} ± {text.points(result.stderr)}"
    colour = _COLOURS.get(snapshot.word, _GREY)
    left, right = _width(result.suite), _width(message)
    return BadgeView(
        result.suite, message, colour, left + right, left, right, number(left / 2), number(left + right / 2)
    )


def _width(words: str) -> int:
    """Return the pixels that words take in 11-pixel Verdana, with room on both sides."""
    return round(6.6 * len(words)) + 12


def badge_json(snapshot: Snapshot) -> bytes:
    """Return `badge.json` as shields.io's endpoint wants it."""
    view = badge(snapshot)
    return canonical_json(
        {"schemaVersion": 1, "label": view.label, "message": view.message, "color": view.colour.lstrip("#")}
    )


def feed(snapshot: Snapshot) -> FeedView:
    """Return the feed of the newest kept snapshots that have a permanent address."""
    lines = snapshot.history.lines
    until = lines[: lines.index(snapshot.own) + 1]
    kept = [line for line in reversed(until) if line.verdict == "kept" and permanent(snapshot, line)]
    return FeedView(
        title=f"{text.line(snapshot.record.model.name, 60)}: snapshots",
        address=snapshot.pin,
        updated=text.machine_time(snapshot.record.finished),
        entries=tuple(_entry(snapshot, line) for line in kept[:FEED_ENTRIES]),
    )


def _entry(snapshot: Snapshot, line: HistoryLine) -> Entry:
    scores = ", ".join(
        f"{text.line(name, 64)} {text.points(score.score)} ± {text.points(score.stderr)}"
        for name, score in sorted(line.scores.items())
    )
    own = line.run_id == snapshot.record.run_id
    return Entry(
        address=f"{permanent(snapshot, line)}/",
        title=f"{text.line(line.commit[:12])}: {scores}",
        updated=text.machine_time(snapshot.record.finished if own else line.started),
        summary=text.line(line.subject, 200),
    )


def policy(snapshot: Snapshot) -> str:
    """Return the content security policy that pages carry themselves, so that it also holds on a mirror.

    Forms may be sent, to the site itself, only where readers are asked what they think.
    """
    forms = "'self'" if feedback.offered(snapshot) else "'none'"
    return (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; "
        f"connect-src 'self'; base-uri 'none'; form-action {forms}; require-trusted-types-for 'script'"
    )


KEEP = "public, max-age=31536000, immutable"
"""What a browser is told of a file that is named by its contents."""
FRAMED = frozenset({"card/*"})
"""The pages that other sites may show in a frame of theirs."""


def headers(snapshot: Snapshot, files: Iterable[str]) -> dict[str, dict[str, str]]:
    """Return headers by path: the policy, what other sites may read, and what a browser may keep for ever.

    Two rules for one header are joined by one host and the later counts on another, and two joined policies allow only
    what both do. So each path has a single rule that names a policy: the one for its first folder, or for its file.
    The page of a missing address is left with the policy that it carries itself.
    """
    served = [path for path in files if path not in CONFIGURATION]
    has_lines = any(path.startswith("lines/") for path in served)
    rules: dict[str, dict[str, str]] = {
        "/*": {
            "X-Content-Type-Options": "nosniff",
            "Referrer-Policy": "no-referrer",
            "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
            "Cross-Origin-Opener-Policy": "same-origin",
        },
        "/assets/*": {"Cache-Control": KEEP},
        **({"/lines/*": {"Cache-Control": KEEP, "Access-Control-Allow-Origin": "*"}} if has_lines else {}),
        **{f"/{name}": {"Access-Control-Allow-Origin": "*"} for name in (*OPEN, "schemas/*")},
    }
    for place in sorted({f"{path.partition('/')[0]}/*" if "/" in path else path for path in served} | {""}):
        rules.setdefault(f"/{place}", {})["Content-Security-Policy"] = _policy_header(snapshot, place)
    return rules


def _policy_header(snapshot: Snapshot, place: str) -> str:
    """Return the policy of the files at a place, with who may frame them, which a page cannot say itself."""
    # Asking for upgrades on a plain http host would make its own pages unreachable.
    upgrade = "; upgrade-insecure-requests" if snapshot.main.startswith("https:") else ""
    ancestors = "*" if place in FRAMED else "'none'"
    own = trying.policy() if place == f"{trying.FOLDER}*" else policy(snapshot)
    return f"{own}; frame-ancestors {ancestors}{upgrade}"


def headers_file(rules: Mapping[str, Mapping[str, str]]) -> bytes:
    """Return `_headers`, which gives Netlify the headers by path."""
    blocks = (
        "\n".join([path, *(f"  {name}: {value}" for name, value in rule.items())]) for path, rule in rules.items()
    )
    return ("\n\n".join(blocks) + "\n").encode()


def redirects(snapshot: Snapshot) -> bytes:
    """Return `_redirects`: `/permalink/…` leads from wherever this snapshot is shown to its permanent address."""
    rules = f"/permalink {snapshot.pin}/ 302\n/permalink/* {snapshot.pin}/:splat 302\n"
    return (rules + split.redirects(snapshot)).encode()
