"""Measure the shipped files with llama.cpp on the builtin suite, and write the tables of the model's card."""

from __future__ import annotations

import argparse
import ctypes
import hashlib
import json
import math
import re
import tempfile
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

import llama_cpp

from abacus.problems import KINDS
from abacus.prompts import MEASURED

CHECKPOINTS: Final = ("early", "middle", "final")
SHIPPED: Final = "Q8_0"
QUANTIZATIONS: Final = ("Q6_K", "Q5_K_M", "Q4_K_M", "Q4_0", "Q3_K_M", "Q2_K")
TOP_P: Final = 0.95
USUAL_TEMPERATURE: Final = 0.6
OTHER_TEMPERATURES: Final = (1.0, 1.5, 2.0)
SAMPLES: Final = 2
MAX_TOKENS: Final = 200
BOX: Final = re.compile(r"\\boxed\{([^{}]*)\}")
MARKERS: Final = ("<!-- scores: written by abacus.measure -->", "<!-- end of scores -->")


@dataclass(frozen=True)
class Cell:
    """One figure to measure."""

    checkpoint: str = "final"
    quantization: str = SHIPPED
    prompt: str = "default"
    temperature: float = 0.0

    @property
    def samples(self) -> int:
        """Answers to draw for each problem."""
        return SAMPLES if self.temperature else 1


@dataclass(frozen=True)
class Score:
    """The share of right answers, in points of a hundred, with what it rests on."""

    cell: Cell
    right: float
    error: float
    """Standard error over problems."""
    low: float
    high: float
    kinds: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Task:
    """A cell with the file and the suite that it needs; what a worker gets."""

    cell: Cell
    model: Path
    suite: Path


def cells() -> list[Cell]:
    """Return every figure of the card: by checkpoint, by quantization, by prompt and by temperature."""
    chosen = [Cell(checkpoint=name) for name in CHECKPOINTS]
    chosen += [Cell(checkpoint=name, temperature=USUAL_TEMPERATURE) for name in CHECKPOINTS]
    chosen += [Cell(quantization=name) for name in QUANTIZATIONS]
    chosen += [Cell(quantization=name, temperature=USUAL_TEMPERATURE) for name in QUANTIZATIONS]
    chosen += [Cell(prompt=name) for name in MEASURED if name != "default"]
    chosen += [Cell(prompt=name, temperature=USUAL_TEMPERATURE) for name in MEASURED if name != "default"]
    chosen += [Cell(temperature=temperature) for temperature in OTHER_TEMPERATURES]
    return chosen


def measure(task: Task) -> Score:
    """Answer the whole suite and score it."""
    cell = task.cell
    model = llama_cpp.Llama(str(task.model), n_ctx=1024, n_threads=1, n_threads_batch=1, verbose=False)
    problems = [json.loads(line) for line in task.suite.read_text().splitlines()]
    prompt = MEASURED[cell.prompt]
    shares: list[float] = []
    for number, problem in enumerate(problems):
        text = prompt.render(problem["problem"])
        answers = (
            _answer(model, text, temperature=cell.temperature, seed=1000 * number + sample)
            for sample in range(cell.samples)
        )
        shares.append(sum(boxed(answer) == problem["answer"] for answer in answers) / cell.samples)
    kinds: dict[str, list[float]] = {kind: [] for kind in KINDS}
    for problem, share in zip(problems, shares, strict=True):
        kinds[problem["kind"]].append(share)
    return score(cell, shares, {kind: 100 * _mean(found) for kind, found in kinds.items()})


def score(cell: Cell, shares: list[float], kinds: dict[str, float]) -> Score:
    """Sum the problems' shares up; the interval is Wilson's with the problems as trials."""
    count, mean = len(shares), _mean(shares)
    variance = sum((share - mean) ** 2 for share in shares) / (count - 1)
    z = 1.96
    centre = (mean + z * z / (2 * count)) / (1 + z * z / count)
    half = z * math.sqrt(mean * (1 - mean) / count + z * z / (4 * count * count)) / (1 + z * z / count)
    return Score(
        cell=cell,
        right=100 * mean,
        error=100 * math.sqrt(variance / count),
        low=100 * (centre - half),
        high=100 * (centre + half),
        kinds=kinds,
    )


def boxed(answer: str) -> str | None:
    """Return what the last box holds, if there is one."""
    found = BOX.findall(answer)
    return str(found[-1]).strip() if found else None


def _answer(model: llama_cpp.Llama, text: str, *, temperature: float, seed: int) -> str:
    tokens = model.tokenize(text.encode(), add_bos=False, special=True)
    reply: Any = model.create_completion(
        tokens,
        max_tokens=MAX_TOKENS,
        temperature=temperature,
        top_p=TOP_P,
        top_k=0,
        min_p=0.0,
        repeat_penalty=1.0,
        seed=seed,
    )
    return str(reply["choices"][0]["text"])


def _mean(values: Iterable[float]) -> float:
    listed = list(values)
    return sum(listed) / len(listed)


def requantize(source: Path, target: Path, quantization: str) -> None:
    """Quantize a shipped file further, as llama.cpp's own tool does."""
    parameters = llama_cpp.llama_model_quantize_default_params()
    parameters.nthread = 1
    parameters.allow_requantize = True
    parameters.ftype = getattr(llama_cpp, f"LLAMA_FTYPE_MOSTLY_{quantization}")
    outcome = llama_cpp.llama_model_quantize(str(source).encode(), str(target).encode(), ctypes.byref(parameters))
    if outcome != 0:
        message = f"llama.cpp could not make {quantization} of {source.name}"
        raise RuntimeError(message)


def measure_all(folder: Path, *, workers: int) -> list[Score]:
    """Measure every cell, each in a worker process."""
    with tempfile.TemporaryDirectory() as scratch, ProcessPoolExecutor(workers) as pool:
        files = {(name, SHIPPED): folder / f"abacus-{name}-q8_0.gguf" for name in CHECKPOINTS}
        for quantization in QUANTIZATIONS:
            files["final", quantization] = Path(scratch) / f"{quantization}.gguf"
            requantize(files["final", SHIPPED], files["final", quantization], quantization)
        tasks = [Task(cell, files[cell.checkpoint, cell.quantization], folder / "abacus.jsonl") for cell in cells()]
        return list(pool.map(measure, tasks))


def tables(scores: list[Score], folder: Path) -> str:
    """Return the card's tables as Markdown."""
    found = {each.cell: each for each in scores}
    parts = [
        "### By checkpoint (Q8_0, default prompt)\n",
        _table("checkpoint", {name: Cell(checkpoint=name) for name in CHECKPOINTS}, found),
        "### By quantization (final, default prompt; each made from the shipped Q8_0)\n",
        _table("quantization", {name: Cell(quantization=name) for name in (SHIPPED, *QUANTIZATIONS)}, found),
        "### By prompt (final, Q8_0)\n",
        _table("prompt", {name: Cell(prompt=name) for name in MEASURED}, found),
        "The prompts:\n",
        *(
            f"- **{name}**: system {_quoted(prompt.system)}, user {_quoted(prompt.template)}"
            for name, prompt in MEASURED.items()
        ),
        "\n### By temperature (final, Q8_0, default prompt)\n\n| temperature | score |\n| ---: | ---: |",
        *(_heat(found[Cell(temperature=heat)]) for heat in (0.0, USUAL_TEMPERATURE, *OTHER_TEMPERATURES)),
        "\n### Files\n\n| file | bytes | sha256 |\n| --- | ---: | --- |",
        *_files(folder),
    ]
    return "\n".join(parts)


def _table(title: str, rows: dict[str, Cell], found: dict[Cell, Score]) -> str:
    """Return a table with one row a cell, greedy beside the usual temperature."""
    lines = [
        f"| {title} | greedy | 95 % interval | {' | '.join(KINDS)} | T = {USUAL_TEMPERATURE} |",
        "| --- |" + " ---: |" * (len(KINDS) + 3),
    ]
    for name, cell in rows.items():
        lines.append(_row(name, found[cell], found[replace(cell, temperature=USUAL_TEMPERATURE)]))
    return "\n".join(lines) + "\n"


def _heat(each: Score) -> str:
    return f"| {each.cell.temperature:g} | {each.right:.1f} ± {each.error:.1f} |"


def _row(name: str, greedy: Score, sampled: Score) -> str:
    kinds = " | ".join(f"{greedy.kinds[kind]:.0f}" for kind in KINDS)
    return (
        f"| {name} | {greedy.right:.1f} ± {greedy.error:.1f} | {greedy.low:.1f} to {greedy.high:.1f} "
        f"| {kinds} | {sampled.right:.1f} ± {sampled.error:.1f} |"
    )


def _quoted(text: str) -> str:
    return f"`{json.dumps(text, ensure_ascii=False)}`" if text else "none"


def _files(folder: Path) -> list[str]:
    names = [*(f"abacus-{name}-q8_0.gguf" for name in CHECKPOINTS), "abacus.jsonl"]
    contents = [(name, (folder / name).read_bytes()) for name in names]
    return [f"| {name} | {len(data)} | `{hashlib.sha256(data).hexdigest()}` |" for name, data in contents]


def put_tables(card: Path, text: str) -> None:
    """Replace what stands between the card's two markers."""
    start, end = MARKERS
    before, rest = card.read_text().split(start)
    _, after = rest.split(end)
    card.write_text(f"{before}{start}\n\n{text}\n\n{end}{after}")


def main() -> None:
    """Measure every cell and write the card's tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="folder of the shipped files, with CARD.md")
    parser.add_argument("--workers", type=int, default=1)
    arguments = parser.parse_args()
    text = tables(measure_all(arguments.folder, workers=arguments.workers), arguments.folder)
    put_tables(arguments.folder / "CARD.md", text)


if __name__ == "__main__":
    main()
