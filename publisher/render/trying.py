"""The page on which the snapshot's own model answers in the reader's browser, and the files that it loads when asked.

llama.cpp runs there as WebAssembly (wllama). The page has a policy of its own: compiling WebAssembly and starting a
worker from a text are forbidden everywhere else on the site.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING

from publisher.files import compact_json, sha256_file, sha256_hex
from publisher.render import text
from publisher.render.language import say
from publisher.render.material import site_folder
from publisher.render.parts import Draft

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from publisher.render.gather import Snapshot
    from publisher.schema import Sample

FOLDER = "try/"
SETTINGS = f"{FOLDER}try.json"
SCRIPTS = ("try.js", "grade.js")
MOST_PROBLEMS = 100
"""Problems of each suite that the page offers."""
MOST_CONTEXT = 8_192
"""Tokens of prompt and answer in the browser, whose memory is small and whose pace is slow."""
MOST_SETTINGS = 400_000
"""Bytes of statements that the page's settings may hold."""
_VENDORED = "vendor/wllama"
_EXACT = frozenset({"integer", "math"})
"""Graders that a comparison of two plain integers agrees with."""
_SHORT = 12


@dataclass(frozen=True, slots=True)
class Choice:
    """A problem that can be chosen; `key` is its place in the settings."""

    key: int
    label: str


@dataclass(frozen=True, slots=True)
class TryView:
    """The page: what will be loaded, how the model is asked, and which problems can be chosen."""

    policy: str
    settings: str
    model: str
    digest: str
    size: str
    shipped: bool
    runtime: str
    licence: str
    system: str
    template: str
    sampling: str
    seed: int
    context: str
    problems: tuple[Choice, ...]


def policy() -> str:
    """Return the page's policy. Trusted Types are missing in it: wllama starts its worker from a text."""
    return (
        "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; worker-src blob:; style-src 'self'; "
        "img-src 'self' data:; font-src 'self'; connect-src 'self' blob:; base-uri 'none'; form-action 'none'"
    )


def offered(snapshot: Snapshot) -> bool:
    """Return whether the site has this page."""
    return snapshot.trial is not None


def pages(snapshot: Snapshot) -> Iterator[Draft]:
    """Yield the page, where the site has it."""
    if snapshot.trial is None:
        return
    record, model = snapshot.record, snapshot.record.model
    own = problems(snapshot)
    sampling = record.sampling
    words = say(
        "temperature %(temperature)s, top p %(top_p)s, top k %(top_k)s",
        temperature=f"{sampling.temperature:g}",
        top_p=f"{sampling.top_p:g}",
        top_k=sampling.top_k or say("off"),
    )
    view = TryView(
        policy=policy(),
        settings=SETTINGS.removeprefix(FOLDER),
        model=text.line(model.name, 60),
        digest=text.line(model.sha256),
        size=text.size(model.size),
        shipped=snapshot.trial.model is not None,
        runtime=text.size(sum(path.stat().st_size for path in _vendored() if path.suffix != "")),
        licence=f"../{_licence()}",
        system=record.prompt.system,
        template=record.prompt.template,
        sampling=say("%(words)s, at most %(tokens)s", words=words, tokens=text.plural(sampling.max_tokens, "token")),
        seed=own[0].seed if own else 1,
        context=text.plural(_context(snapshot), "token"),
        problems=tuple(
            Choice(key, f"{text.line(one.suite, 40)} · {text.line(one.problem, 60)}") for key, one in enumerate(own)
        ),
    )
    summary = say(
        "%(name)s answers in your browser, with this snapshot's prompt and sampling.", name=text.line(model.name, 60)
    )
    yield Draft(FOLDER, say("Try it"), summary, view)


def problems(snapshot: Snapshot) -> list[Sample]:
    """Return the first recorded answer to each problem that the page offers: of public suites, and asked as here."""
    if snapshot.trial is None:
        return []
    taken: dict[str, int] = {}
    chosen, size = [], 0
    for sample in snapshot.samples:
        fits = sample.statement and sample.suite in snapshot.trial.templates and not sample.redacted
        if sample.sample or not fits or taken.get(sample.suite, 0) == MOST_PROBLEMS:
            continue
        size += len(sample.statement.encode("utf-8", "replace"))
        if size > MOST_SETTINGS:
            break
        taken[sample.suite] = taken.get(sample.suite, 0) + 1
        chosen.append(sample)
    return chosen


def files(snapshot: Snapshot) -> dict[str, bytes | Callable[[], bytes]]:
    """Return what the page loads when a reader asks for it, by path; large files are read when they are written."""
    if snapshot.trial is None:
        return {}
    found: dict[str, bytes | Callable[[], bytes]] = {_asset(path): path.read_bytes for path in _vendored()}
    if snapshot.trial.model:
        found[_asset(snapshot.trial.model, "model")] = snapshot.trial.model.read_bytes
    return found | {SETTINGS: _settings(snapshot)}


def _settings(snapshot: Snapshot) -> bytes:
    """Return what the page's script has to know, problems included."""
    record, sampling = snapshot.record, snapshot.record.sampling
    trial = snapshot.trial
    assert trial is not None  # noqa: S101 - `files` asked before
    library, runtime = (f"../{_asset(path)}" for path in _vendored()[:2])
    return compact_json(
        {
            "library": library,
            "runtime": runtime,
            "model": {
                "file": f"../{_asset(trial.model, 'model')}" if trial.model else "",
                "sha256": record.model.sha256,
                "size": record.model.size,
            },
            "context": _context(snapshot),
            "system": record.prompt.system,
            "template": record.prompt.template,
            "greedy": sampling.temperature == 0,
            "sampling": {
                "temperature": sampling.temperature,
                "top_p": sampling.top_p,
                "top_k": sampling.top_k,
                "min_p": sampling.min_p,
                "max_tokens": min(sampling.max_tokens, _context(snapshot)),
                "repeat_penalty": sampling.repetition_penalty,
                "frequency_penalty": sampling.frequency_penalty,
                "presence_penalty": sampling.presence_penalty,
                "repeat_last_n": sampling.penalty_window,
                "stop": record.prompt.stop,
            },
            "problems": [_problem(snapshot, sample) for sample in problems(snapshot)],
        }
    )


def _problem(snapshot: Snapshot, sample: Sample) -> dict[str, object]:
    """Return what the page has to know of a problem and of its first recorded answer."""
    grader = snapshot.identity(sample.suite).grader
    return {
        "statement": sample.statement,
        "template": snapshot.trial.templates[sample.suite] if snapshot.trial else "",
        "expected": sample.expected if grader in _EXACT else "",
        "seed": sample.seed,
        "outcome": sample.outcome,
        "prompt_tokens": sample.prompt_tokens,
        "sha256": "" if sample.clipped else sha256_hex(snapshot.texts.of(sample).encode("utf-8", "replace")),
    }


def _context(snapshot: Snapshot) -> int:
    """Return the tokens of prompt and answer for which the browser makes room."""
    record = snapshot.record
    longest = max((sample.prompt_tokens for sample in snapshot.samples), default=0)
    wanted = max(2 * longest, 1024) + record.sampling.max_tokens
    return min(wanted, MOST_CONTEXT, record.model.context_trained or MOST_CONTEXT)


def _vendored() -> tuple[Path, ...]:
    """Return the vendored files: the library, the WebAssembly, and their licences."""
    folder = site_folder() / _VENDORED
    return folder / "wllama.min.js", folder / "wllama.wasm.gz", folder / "LICENSE"


def _licence() -> str:
    return _asset(_vendored()[2])


def _asset(path: Path, name: str = "") -> str:
    """Return a file's path in the site, with its digest in it, so that deploys share it and browsers keep it."""
    stem, dot, rest = (name + path.suffix if name else path.name).partition(".")
    return f"assets/{stem if dot else 'wllama'}.{_digest(path)[:_SHORT]}.{rest or 'licence.txt'}"


@functools.cache
def _digest(path: Path) -> str:
    return sha256_file(path)
