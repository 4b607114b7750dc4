"""What others' programs that make sites of results take: `asv publish`, and inspect's bundle of its viewer.

Both are installed into a folder of their own. Their input is made before the clock starts; counted is the processor
time of the process and of everything that it starts.
"""

from __future__ import annotations

import json
import random
import resource
import subprocess
import sys
from pathlib import Path

PACKAGES = ("asv", "inspect_ai")
BENCHMARKS = 10
_COLUMNS = ["result", "params", "version", "started_at", "duration"]
_LOG = """
import gzip, json, sys
from inspect_ai.log import EvalConfig, EvalDataset, EvalLog, EvalPlan, EvalResults, EvalSample, EvalSpec, EvalStats
from inspect_ai.log import write_eval_log
from inspect_ai.model import ChatMessageAssistant, ChatMessageUser, ModelOutput
from inspect_ai.scorer import Score

rows = map(json.loads, gzip.open(sys.argv[1], "rt"))
samples = [
    EvalSample(
        id=row["problem"], epoch=row["sample"] + 1, input=row["statement"], target=row["expected"],
        messages=[ChatMessageUser(content=row["statement"]), ChatMessageAssistant(content=row["text"])],
        output=ModelOutput.from_content("llama", row["text"]),
        scores={"match": Score(value="C" if row["outcome"] == "right" else "I", answer=row["answer"])},
    )
    for row in rows
]
spec = EvalSpec(
    created="2026-11-21T12:00:00+00:00", task="words", dataset=EvalDataset(name="words"), model="llama/x",
    config=EvalConfig(),
)
done = EvalResults(total_samples=len(samples), completed_samples=len(samples))
write_eval_log(
    EvalLog(status="success", eval=spec, plan=EvalPlan(), results=done, stats=EvalStats(), samples=samples), sys.argv[2]
)
"""


def install(folder: Path) -> Path:
    """Return the folder with the peers' programs, installed into a virtual environment if it is not there yet."""
    if not (folder / "bin" / "inspect").is_file():
        subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
        subprocess.run([str(folder / "bin" / "pip"), "install", "--quiet", *PACKAGES], check=True)
    return folder / "bin"


def asv_project(folder: Path, runs: int) -> Path:
    """Make a repository of so many commits with the results of ten benchmarks each; return its folder."""
    folder.mkdir(parents=True)
    _git(folder, "init", "--quiet", "--initial-branch=main")
    stream = "".join(
        f"commit refs/heads/main\ncommitter a <a@b> {1_700_000_000 + 3_600 * number} +0000\ndata 2\nc\n"
        for number in range(runs)
    )
    _git(folder, "fast-import", "--quiet", stdin=stream)
    commits = _git(folder, "rev-list", "--reverse", "main").split()
    results = folder / "results" / "box"
    results.mkdir(parents=True)
    machine = {"arch": "x86_64", "cpu": "", "machine": "box", "num_cpu": "2", "os": "", "ram": "", "version": 1}
    (results / "machine.json").write_text(json.dumps(machine))
    names = [f"suite.track_{number}" for number in range(BENCHMARKS)]
    about = {"code": "", "param_names": [], "params": [], "type": "track", "unit": "points", "version": "1"}
    known: dict[str, object] = {name: {**about, "name": name} for name in names}
    (folder / "results" / "benchmarks.json").write_text(json.dumps(known | {"version": 2}))
    chance = random.Random(7)  # noqa: S311 - invented figures
    for number, commit in enumerate(commits):
        date = 1000 * (1_700_000_000 + 3_600 * number)
        found = {name: [[chance.uniform(60, 90)], [], "1", date, 1.0] for name in names}
        shown = {"commit_hash": commit, "env_name": "existing-py", "date": date, "params": machine | {"python": "3.11"}}
        more = {"python": "3.11", "requirements": {}, "env_vars": {}, "result_columns": _COLUMNS, "durations": {}}
        text = json.dumps({**shown, **more, "results": found, "version": 2})
        (results / f"{commit[:8]}-existing-py.json").write_text(text)
    settings = {"version": 1, "project": "x", "repo": ".", "branches": ["main"], "environment_type": "existing"}
    (folder / "asv.conf.json").write_text(json.dumps(settings | {"results_dir": "results", "html_dir": "html"}))
    return folder


def publish(programs: Path, project: Path) -> float:
    """Return the processor seconds of `asv publish`."""
    return _timed([str(programs / "asv"), "publish"], project)


def inspect_log(programs: Path, samples: Path, folder: Path) -> float:
    """Write inspect's log of the answers in `samples`; return the processor seconds that it took."""
    folder.mkdir(parents=True)
    return _timed([str(programs / "python"), "-c", _LOG, str(samples), str(folder / "words.eval")], folder)


def bundle(programs: Path, logs: Path, into: Path) -> float:
    """Return the processor seconds of `inspect view bundle`, which copies the log and the viewer."""
    command = ["view", "bundle", "--log-dir", str(logs), "--output-dir", str(into), "--overwrite"]
    return _timed([str(programs / "inspect"), *command], logs)


def _timed(command: list[str], folder: Path) -> float:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, cwd=folder, check=True, capture_output=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def _git(folder: Path, *arguments: str, stdin: str = "") -> str:
    return subprocess.run(
        ["git", *arguments], cwd=folder, input=stdin, check=True, capture_output=True, text=True
    ).stdout
