"""The programs that are compared: each runs one measurement in a process of its own and prints its figures as JSON."""

from __future__ import annotations

import concurrent.futures
import contextlib
import http.client
import json
import os
import re
import socket
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

SAMPLING: dict[str, Any] = {"temperature": 0.8, "top_k": 40, "top_p": 0.95, "min_p": 0.0}


@dataclass(frozen=True)
class Setting:
    """What all contenders have in common in one measurement."""

    model: str
    context: int
    threads: int
    gpu_layers: int = 0

    @property
    def offload(self) -> int | str:
        """The layers to offload as our engine wants them."""
        return "all" if self.gpu_layers else 0


@dataclass(frozen=True)
class Job:
    """Problems with several samples each; `lengths[problem][sample]` are the tokens to generate."""

    system: str
    problems: tuple[str, ...]
    lengths: tuple[tuple[int, ...], ...]

    @property
    def tokens(self) -> int:
        """The tokens to generate in all."""
        return sum(map(sum, self.lengths))

    def prompt(self, problem: str) -> str:
        """Return the text that ChatML makes of system prompt and problem."""
        turns = [("system", self.system), ("user", problem)]
        text = "".join(f"<|im_start|>{role}\n{content}<|im_end|>\n" for role, content in turns)
        return f"{text}<|im_start|>assistant\n"


def child(function: str, *arguments: Any, environment: dict[str, str] | None = None) -> Any:
    """Call a function of this module in a new process and return what it returned."""
    code = f"import json, sys; sys.path[:0] = {[str(Path(__file__).parents[1]), str(Path(__file__).parent)]!r}\n"
    code += f"import contenders; print(json.dumps(contenders.{function}(*json.loads(sys.argv[1]))))"
    done = subprocess.run(
        [sys.executable, "-c", code, json.dumps(arguments)],
        capture_output=True,
        check=False,
        env={**os.environ, **(environment or {})},
    )
    if done.returncode:
        raise RuntimeError(f"{function} failed:\n{done.stderr.decode(errors='replace')[-3000:]}")
    return json.loads(done.stdout.splitlines()[-1])


def _same(tokens: int, wanted: int) -> None:
    """Make sure that a contender did all of the work."""
    if tokens != wanted:
        raise RuntimeError(f"{tokens} tokens were generated instead of {wanted}")


# -- ours ------------------------------------------------------------------------------------------------------------


def ours(
    setting: dict[str, Any],
    mode: str,
    slots: int,
    job: dict[str, Any],
    repeat: int,
    changes: dict[str, Any],
) -> list[dict[str, float]]:
    """Run a job `repeat` times on our engine, in this process; no sample ends before its length."""
    from publisher.bench.engine import Engine  # noqa: PLC0415 - llama.cpp belongs into this process alone
    from publisher.bench.protocol import EngineOptions, Request  # noqa: PLC0415
    from publisher.schema import Sampling  # noqa: PLC0415

    values: dict[str, Any] = {
        "model": Path(setting["model"]),
        "sha256": "",
        "context": setting["context"],
        "gpu_layers": "all" if setting["gpu_layers"] else 0,
        "mode": mode,
        "slots": slots,
        "threads": setting["threads"],
        "batch": 0,
        "flash_attention": False,
        "timeout": 600.0,
        "sampling": Sampling(**SAMPLING, max_tokens=max(map(max, job["lengths"]))),
        "system": job["system"],
        "template": "{problem}",
    }
    wanted = [(problem, length) for problem, lengths in enumerate(job["lengths"]) for length in lengths]
    requests = [
        Request(key, job["problems"][problem], key + 1, str(problem), max_tokens=length, expected=length)
        for key, (problem, length) in enumerate(wanted)
    ]
    descriptor = os.open(setting["model"], os.O_RDONLY)
    engine = Engine(EngineOptions(**{**values, **changes}), descriptor, lambda _doing: None)
    engine._model.ends = frozenset()  # noqa: SLF001 - every contender ignores the ends, so that lengths are equal
    results = []
    for _ in range(repeat):
        started = time.perf_counter()
        completions = list(engine.generate(requests))
        seconds = time.perf_counter() - started
        _same(sum(completion.tokens for completion in completions), sum(length for _, length in wanted))
        figures = engine.statistics()
        tokens = sum(length for _, length in wanted)
        decode = figures["seconds"] - figures["prompt_seconds"]
        results.append({"total": tokens / seconds, "decode": tokens / decode, **figures})
    return results


def measure_ours(
    setting: Setting, mode: str, slots: int, job: Job, *, repeat: int, **changes: Any
) -> list[dict[str, float]]:
    """Return one dictionary of figures a repetition: `decode` and `total` in tokens a second, and the engine's own."""
    environment = {"GGML_CPU_TILED_MM_FORCE": "1"} if mode == "reproducible" else {}
    plain = {"system": job.system, "problems": job.problems, "lengths": job.lengths}
    found: list[dict[str, float]] = child(
        "ours", setting.__dict__, mode, slots, plain, repeat, changes, environment=environment
    )
    return found


# -- llama_cpp.Llama, one sample at a time -----------------------------------------------------------------------------


def sequential(setting: dict[str, Any], prompts: list[str], lengths: list[list[int]], repeat: int) -> list[float]:
    """Return tokens a second of the high-level class, prompts included; it reuses the prefix in its cache."""
    import llama_cpp  # noqa: PLC0415 - llama.cpp belongs into this process alone

    llama = llama_cpp.Llama(
        setting["model"],
        n_ctx=setting["context"],
        n_threads=setting["threads"],
        n_threads_batch=setting["threads"],
        n_gpu_layers=-1 if setting["gpu_layers"] else 0,
        verbose=False,
    )
    tokens = [llama.tokenize(prompt.encode(), add_bos=False, special=True) for prompt in prompts]
    speeds = []
    for _ in range(repeat):
        llama.reset()
        started = time.perf_counter()
        for prompt, wanted in zip(tokens, lengths, strict=True):
            for number, length in enumerate(wanted):
                llama.set_seed(number)
                generated = llama.generate(
                    prompt, temp=SAMPLING["temperature"], top_k=40, top_p=SAMPLING["top_p"], min_p=0.0
                )
                for _, _ in zip(range(length), generated, strict=False):
                    pass
        speeds.append(sum(map(sum, lengths)) / (time.perf_counter() - started))
    return speeds


def measure_sequential(setting: Setting, job: Job, *, repeat: int) -> list[float]:
    """Return tokens a second, one figure a repetition."""
    prompts = [job.prompt(problem) for problem in job.problems]
    found: list[float] = child("sequential", setting.__dict__, prompts, job.lengths, repeat)
    return found


# -- llama.cpp's own programs ------------------------------------------------------------------------------------------


def _environment(peers: Path) -> dict[str, str]:
    """Return the environment in which the peers find the Python package's libraries."""
    libraries = (peers / "libraries").read_text().strip()
    return {**os.environ, "LD_LIBRARY_PATH": f"{libraries}:{peers / 'bin'}"}


def batched_bench(
    peers: Path, setting: Setting, *, prompt: int, tokens: int, sequences: list[int], repeat: int, unified: bool
) -> dict[int, list[float]]:
    """Return decode tokens a second of llama-batched-bench by the number of sequences; it samples nothing.

    `unified` lets all sequences share one cache (-kvu); otherwise each has a stream of cells, as in ours where
    samples are long.
    """
    found: dict[int, list[float]] = {count: [] for count in sequences}
    whole = -(-(prompt + tokens + 8) // 256) * 256
    context = prompt + max(sequences) * (tokens + 8) + 256 if unified else max(sequences) * whole
    command = [
        str(peers / "bin" / "llama-batched-bench"), "-m", setting.model, "-c", str(context), "-b", "2048", "-ub", "512",
        "-npp", str(prompt), "-ntg", str(tokens), "-npl", ",".join(map(str, sequences)),
        "-pps", *(["-kvu"] if unified else []),
        "-t", str(setting.threads), "-tb", str(setting.threads), "-fa", "off", "-ngl", str(setting.gpu_layers),
    ]  # fmt: skip
    for _ in range(repeat):
        done = subprocess.run(command, capture_output=True, text=True, check=True, env=_environment(peers))
        for line in done.stdout.splitlines():
            cells = [cell.strip() for cell in line.strip("| ").split("|")]
            if len(cells) == 10 and re.fullmatch(r"\d+", cells[0]):
                found[int(cells[2])].append(float(cells[7]))
    return found


@contextlib.contextmanager
def _server(peers: Path, setting: Setting, slots: int, context: int) -> Iterator[int]:
    """Run llama-server on a free port."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    command = [
        str(peers / "bin" / "llama-server"), "-m", setting.model, "--host", "127.0.0.1", "--port", str(port),
        "-np", str(slots), "-c", str(context), "-t", str(setting.threads), "-tb", str(setting.threads),
        "-fa", "off", "-ngl", str(setting.gpu_layers), "--no-webui", "-kvu",
    ]  # fmt: skip
    with subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=_environment(peers)
    ) as process:
        try:
            deadline = time.monotonic() + 120
            while not _healthy(port):
                if process.poll() is not None or time.monotonic() > deadline:
                    raise RuntimeError(f"llama-server did not start: {' '.join(command)}")
                time.sleep(0.1)
            yield port
        finally:
            process.terminate()


def _healthy(port: int) -> bool:
    """Return whether the server is ready."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", "/health")
        return connection.getresponse().status == 200
    except OSError:
        return False
    finally:
        connection.close()


def _complete(port: int, prompt: str, *, length: int, seed: int, samples: int) -> int:
    """Ask the server for samples of one prompt and return the number of generated tokens."""
    body = {"prompt": prompt, "n_predict": length, "ignore_eos": True, "seed": seed, "n_cmpl": samples, **SAMPLING}
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=600)
    try:
        connection.request("POST", "/completion", json.dumps(body), {"Content-Type": "application/json"})
        answer = json.loads(connection.getresponse().read())
    finally:
        connection.close()
    answers = answer if isinstance(answer, list) else [answer]
    return sum(int(one["tokens_predicted"]) for one in answers)


def server(peers: Path, setting: Setting, job: Job, *, slots: int, repeat: int, share: bool = False) -> list[float]:
    """Return tokens a second of llama-server under a client that keeps all its slots busy.

    With `share`, the samples of a problem are asked for in one request (`n_cmpl`), which evaluates the prompt once;
    they then need equal lengths.
    """
    calls = []
    for number, (problem, lengths) in enumerate(zip(job.problems, job.lengths, strict=True)):
        if share:
            calls.append((job.prompt(problem), lengths[0], number, len(lengths)))
        else:
            calls += [(job.prompt(problem), length, 100 * number + k, 1) for k, length in enumerate(lengths)]
    speeds = []
    with _server(peers, setting, slots, setting.context * slots) as port:
        for _ in range(repeat):
            started = time.perf_counter()
            with concurrent.futures.ThreadPoolExecutor(slots) as pool:
                done = [
                    pool.submit(_complete, port, prompt, length=length, seed=seed, samples=samples)
                    for prompt, length, seed, samples in calls
                ]
                tokens = sum(future.result() for future in done)
            _same(tokens, job.tokens)
            speeds.append(tokens / (time.perf_counter() - started))
    return speeds
