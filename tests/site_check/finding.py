"""What a check found, and the row that it gets in the table."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that is wrong, and where."""

    where: str
    what: str


@dataclass(slots=True)
class Row:
    """One check: what it looked at, and what it found."""

    check: str
    seen: str
    findings: list[Finding] = field(default_factory=list)


def table(rows: list[Row]) -> str:
    """Return the summary: one line per check, and below each its findings."""
    width = max(len(row.check) for row in rows)
    lines = []
    for row in rows:
        lines.append(f"{'FAIL' if row.findings else 'ok  '}  {row.check:<{width}}  {row.seen}")
        lines += [f"        {one.where}: {one.what}" for one in row.findings[:20]]
        if len(row.findings) > 20:
            lines.append(f"        … and {len(row.findings) - 20} more")
    failed = sum(bool(row.findings) for row in rows)
    lines.append(f"{len(rows)} checks, {failed} failed" if failed else f"{len(rows)} checks, all passed")
    return "\n".join(lines)
