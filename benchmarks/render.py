"""What rendering one snapshot costs: CPU time, peak memory, files and bytes, by the length of history and of answers.

    python benchmarks/render.py                                    # the usual cases
    python benchmarks/render.py --problems 500 --samples 16 --characters 20000 --runs 24
    python benchmarks/render.py --peers FOLDER --repeat 3          # in turns with asv and inspect, installed there
    python benchmarks/render.py --stored                           # bytes of the history over all deploys

Each case is rendered in a process of its own, since a process's peak memory never falls. Answers are invented, with a
formula in every line and a repetition at the end of some; the trees are made before the clock starts.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import zlib
from pathlib import Path

import msgspec

from publisher import shards
from publisher.files import canonical_json
from publisher.render import render
from publisher.samples import pack_samples
from publisher.schema import History, PartName

sys.path.insert(0, str(Path(__file__).parents[1]))

import render_peers

from tests.trees import (
    MAIN,
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
        "peak": _peak() / 1000,
        "files": len(files),
        "bytes": sum(path.stat().st_size for path in files) / 1e6,
        "pages": sum(path.stat().st_size for path in files if path.suffix == ".html") / 1e6,
    }


def _peak() -> int:
    """Return this process's peak memory in kB; getrusage would count what its parent had when it was started."""
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM:"))


def rendered(name: str) -> dict[str, float]:
    """Render the tree in the folder `name` in a process of its own; `whole` is all of its CPU time."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    # As on a machine that has rendered before: modules and templates are compiled.
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    command = [sys.executable, __file__, "--tree", name]
    output = subprocess.run(command, env=environment, check=True, capture_output=True).stdout
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    found: dict[str, float] = json.loads(output)
    return found | {"whole": after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime}


def beside_peers(programs: Path, repeat: int) -> None:
    """Print what a deploy takes beside `asv publish`, and 8,000 long answers beside inspect, in turns."""
    bin_ = render_peers.install(programs)
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        project = render_peers.asv_project(place / "asv", 1_000)
        for runs in (1_000, 10_000):
            tree(place / str(runs) / "tree", problems=120, samples=1, characters=400, runs=runs)
        rendered(str(place / "1000"))
        ours: dict[int, list[dict[str, float]]] = {1_000: [], 10_000: []}
        asv = []
        for _ in range(repeat):
            for runs, found in ours.items():
                found.append(rendered(str(place / str(runs))))
            asv.append(render_peers.publish(bin_, project))
        print(f"asv publish, 1,000 commits of 10 results: {statistics.median(asv):.2f} s CPU")
        for runs, found in ours.items():
            for part, words in (("cpu", "rendering"), ("whole", "with the start of Python")):
                taken = statistics.median(one[part] for one in found)
                ratio = statistics.median(one[part] / other for one, other in zip(found, asv, strict=True))
                print(f"ours, {runs} runs, {words}: {taken:.2f} s CPU, {ratio:.2f} of asv's", flush=True)
            print(f"  peak {found[0]['peak']:.0f} MB, {found[0]['files']:.0f} files, {found[0]['bytes']:.1f} MB")
        big = place / "big"
        tree(big / "tree", problems=500, samples=16, characters=20_000, runs=24)
        samples = big / "tree/ledger/samples.jsonl.gz"
        logs = [render_peers.inspect_log(bin_, samples, place / "logs")]
        pairs = [(rendered(str(big)), render_peers.bundle(bin_, place / "logs", place / "out")) for _ in range(repeat)]
    taken, copied = statistics.median(one["cpu"] for one, _ in pairs), statistics.median(one for _, one in pairs)
    print(f"500 × 16 answers of 20,000 characters: ours {taken:.1f} s CPU, peak {pairs[0][0]['peak']:.0f} MB")
    print(
        f"inspect: bundle {copied:.1f} s ({taken / copied:.1f} times), after writing its log, {logs[0]:.1f} s", end=""
    )
    print(f" (together {taken / (copied + logs[0]):.2f} times)")


def stored(runs: int = 10_000) -> None:
    """Print what the history of so many runs comes to over one deploy per run, in one piece each and in parts."""
    lines = [history_line(number, runs) for number in range(runs)]
    sizes = [len(canonical_json(line)) for line in lines]
    # In one piece, a line is in every deploy from its own on, each of its rows indented by four more spaces.
    indented = [size + 4 * canonical_json(line).count(b"\n") for size, line in zip(sizes, lines, strict=True)]
    before = sum(size * (runs - number) for number, size in enumerate(indented))
    seen: dict[str, tuple[int, int]] = {}
    index = packed = 0
    for count in range(1, runs + 1):
        start = (count - 1) // 256 * 256 if count % 256 else count - 256
        names = [PartName(sha256="0" * 64, runs=256)] * (start // 256)
        files = shards.split(History(site=MAIN, headline="words", lines=lines[start:count]))
        data = files.pop("history.json")
        index += len(data) + len(canonical_json(names))
        packed += len(zlib.compress(data, 1))
        seen |= {path: (len(part), len(zlib.compress(part, 1))) for path, part in files.items() if path not in seen}
    parts, small = (sum(size[place] for size in seen.values()) for place in (0, 1))
    print(f"in one piece: {sum(indented) / 1e6:.1f} MB in the last deploy, {before / 1e9:.1f} GB uploaded in all")
    print(f"in parts: {(index + parts) / 1e6:.0f} MB uploaded in all: {index / 1e6:.0f} of indexes", end="")
    print(f" and {parts / 1e6:.0f} of {len(seen)} parts; {(packed + small) / 1e6:.0f} MB compressed in git")


def main() -> None:
    """Measure the usual cases, or the one that the arguments name."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("problems", "samples", "characters", "runs"):
        parser.add_argument(f"--{name}", type=int)
    parser.add_argument("--tree", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--peers", type=Path, help="a folder for asv and inspect, which are installed there")
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--stored", action="store_true", help="bytes of the history over all deploys")
    given = parser.parse_args()
    if given.tree:
        print(json.dumps(measure(given.tree)))
        return
    if given.stored:
        stored()
        return
    if given.peers:
        beside_peers(given.peers, given.repeat)
        return
    one = (given.problems or 120, given.samples or 1, given.characters or 400, given.runs or 24)
    chosen = (one,) if any((given.problems, given.samples, given.characters, given.runs)) else CASES
    print(f"{'problems':>8} {'samples':>7} {'chars':>6} {'runs':>6} {'CPU s':>7} {'peak MB':>8} {'files':>6} {'MB':>7}")
    for problems, samples, characters, runs in chosen:
        with tempfile.TemporaryDirectory() as name:
            tree(Path(name) / "tree", problems=problems, samples=samples, characters=characters, runs=runs)
            found = rendered(name)
        row = f"{problems:8} {samples:7} {characters:6} {runs:6} {found['cpu']:7.2f} {found['peak']:8.0f}"
        print(f"{row} {found['files']:6.0f} {found['bytes']:7.1f}   pages {found['pages']:.1f} MB", flush=True)


if __name__ == "__main__":
    main()
