"""What rendering one snapshot costs: CPU time, peak memory, files and bytes, by the length of history and of answers.

    python benchmarks/render.py                                    # the usual cases
    python benchmarks/render.py --problems 500 --samples 16 --characters 20000 --runs 24

Each case is rendered in a process of its own, since a process's peak memory never falls. Answers are invented, with a
formula in every line and a repetition at the end of some; the trees are made before the clock starts.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

import msgspec

from publisher.files import canonical_json
from publisher.render import render
from publisher.samples import pack_samples

sys.path.insert(0, str(Path(__file__).parents[1]))

from tests.trees import (
    history_line,
    history_of,
    own_line,
    record,
    result,
    sample,
    snapshot_tree,
    source,
    write_history,
)

CASES = ((120, 1, 400, 24), (120, 1, 400, 1_000), (500, 1, 20_000, 24), (500, 16, 20_000, 24))
"""Problems, samples per problem, characters per answer, runs in the history."""
_LINE = (
    "Step {0}: since $x_{{{0}}}^2 = {1}$, so \\(\\frac{{{1}}}{{{0}}} \\equiv {2} \\pmod{{{3}}}\\) and **continue**.\n"
)


def answer(place: int, characters: int) -> str:
    """Return an invented answer of about so many characters: thinking, then lines with formulas."""
    lines = (_LINE.format(step + place, step * place + 7, step % 5, step % 11 + 2) for step in range(characters // 60))
    written = "".join(lines)[:characters]
    return f"<think>{written[: characters * 2 // 3]}</think>{written[characters * 2 // 3 :]}\n\n$\\boxed{{{place}}}$"


def tree(folder: Path, *, problems: int, samples: int, characters: int, runs: int) -> Path:
    """Write a snapshot's tree with so many answers into `folder`."""
    snapshot_tree(folder, runs=runs, problems=8)
    own = [sample("words", number, k, 0.7, public=True) for number in range(problems) for k in range(samples)]
    told = [
        msgspec.structs.replace(one, text=answer(place, characters) if characters > 400 else one.text)
        for place, one in enumerate(own)
    ]
    hard = [sample("hard", number, k, 0.5, public=False) for number in range(24) for k in range(8)]
    shown = record([*own, *hard])
    value = msgspec.to_builtins(shown)
    value["suites"][0] |= {"problems": problems, "samples": samples}
    value["results"][0] = result("words", own)
    shown = msgspec.convert(value, type(shown))
    ledger = folder / "ledger"
    lines = [*(history_line(number, runs) for number in range(runs)), own_line(shown)]
    write_history(folder, msgspec.structs.replace(history_of(folder), lines=lines))
    (ledger / "record.json").write_bytes(canonical_json(shown))
    (ledger / "samples.jsonl.gz").write_bytes(pack_samples([*told, *hard]))
    return folder


def measure(folder: Path) -> dict[str, float]:
    """Render the tree in `folder` and return what it cost this process."""
    before = os.times()
    render(source(folder / "tree"), folder / "dist")
    after = os.times()
    files = [path for path in (folder / "dist").rglob("*") if path.is_file()]
    return {
        "cpu": after.user + after.system - before.user - before.system,
        "peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000,
        "files": len(files),
        "bytes": sum(path.stat().st_size for path in files) / 1e6,
        "pages": sum(path.stat().st_size for path in files if path.suffix == ".html") / 1e6,
    }


def main() -> None:
    """Measure the usual cases, or the one that the arguments name."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("problems", "samples", "characters", "runs"):
        parser.add_argument(f"--{name}", type=int)
    parser.add_argument("--tree", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.tree:
        print(json.dumps(measure(given.tree)))
        return
    one = (given.problems or 120, given.samples or 1, given.characters or 400, given.runs or 24)
    chosen = (one,) if any((given.problems, given.samples, given.characters, given.runs)) else CASES
    print(f"{'problems':>8} {'samples':>7} {'chars':>6} {'runs':>6} {'CPU s':>7} {'peak MB':>8} {'files':>6} {'MB':>7}")
    for problems, samples, characters, runs in chosen:
        with tempfile.TemporaryDirectory() as name:
            tree(Path(name) / "tree", problems=problems, samples=samples, characters=characters, runs=runs)
            command = [sys.executable, __file__, "--tree", name]
            found = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
        row = f"{problems:8} {samples:7} {characters:6} {runs:6} {found['cpu']:7.2f} {found['peak']:8.0f}"
        print(f"{row} {found['files']:6.0f} {found['bytes']:7.1f}   pages {found['pages']:.1f} MB", flush=True)


if __name__ == "__main__":
    main()
