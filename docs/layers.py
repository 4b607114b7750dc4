"""Draw the layers that `make check` enforces into docs/architecture.md: `python docs/layers.py [--check]`."""

from __future__ import annotations

import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "architecture.md"
BEGIN, END = "<!-- layers: made by docs/layers.py -->\n", "<!-- end of layers -->\n"


def drawing(contracts: list[dict[str, object]]) -> str:
    """Return the layers contract as a Mermaid diagram: one row per layer, an arrow to the row below."""
    layers = next(contract["layers"] for contract in contracts if contract["type"] == "layers")
    assert isinstance(layers, list)
    rows = [[room.strip() for room in str(layer).split("|")] for layer in layers]
    lines = ["```mermaid", "flowchart TB"]
    for number, rooms in enumerate(rows):
        lines.append(f'  l{number}["{" · ".join(rooms)}"]')
    lines += [f"  l{number} --> l{number + 1}" for number in range(len(rows) - 1)]
    return "\n".join([*lines, "```", ""])


def page(text: str, picture: str) -> str:
    """Return the page with the picture between its two marks."""
    before, rest = text.split(BEGIN)
    return f"{before}{BEGIN}{picture}{END}{rest.split(END)[1]}"


def main() -> int:
    """Write the page, or with `--check` return 1 where it is out of date."""
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    text = PAGE.read_text(encoding="utf-8")
    new = page(text, drawing(contracts))
    if "--check" not in sys.argv:
        PAGE.write_text(new, encoding="utf-8")
    elif new != text:
        print("docs/architecture.md does not show today's layers: python docs/layers.py", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
