"""The programs that are compared; each runs in its own processes and stays loaded, so that they can take turns."""

from __future__ import annotations

import concurrent.futures
import contextlib
import http.client
import itertools
import json
import multiprocessing
import os
import re
import socket
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self

sys.path.insert(0, str(Path(__file__).parents[1]))

from publisher.engine.fleet import Fleet
from publisher.engine.protocol import EngineOptions, SampleRequest
from publisher.schema import Sampling

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

SAMPLING: dict[str, Any] = {"temperature": 0.8, "top_k": 40, "top_p": 0.95, "min_p": 0.0}


@dataclass(frozen=True)
class Setting:
    """What all contenders have in common in one measurement."""

    model: str
    context: int
    threads: int
    gpu_layers: int = 0
    flash: str = "default"
    """Flash attention: "on", "off" or "default", which leaves it to the contender."""

    @property
    def offload(self) -> int | str:
        """The layers to offload, as our engine's option."""
        return "all" if self.gpu_layers else 0

    @property
    def switch(self) -> list[str]:
        """Flash attention, as an option of llama.cpp's programs."""
        return [] if self.flash == "default" else ["-fa", self.flash]


@dataclass(frozen=True)
class Job:
    """Problems with several samples each; `lengths[problem][sample]` are the tokens to generate."""

    system: str
    problems: tuple[str, ...]
    lengths: tuple[tuple[int, ...], ...]

    @property
    def tokens(self) -> int:
        """The total number of tokens to generate."""
        return sum(map(sum, self.lengths))

    def prompt(self, problem: str) -> str:
        """Return a problem in ChatML, after the text that all problems share."""
        return f"<|im_start|>user\n{self.system}\n{problem}<|im_end|>\n<|im_start|>assistant\n"


def _same(tokens: int, wanted: int) -> None:
    """Raise RuntimeError unless a contender did all of the work."""
    if tokens != wanted:
        raise RuntimeError(f"{tokens} tokens were generated instead of {wanted}")


# -- ours ------------------------------------------------------------------------------------------------------------


class Ours:
    """Our engines in their child processes, as `publisher bench` runs them; no sample ends before its length."""

    def __init__(self, setting: Setting, mode: str, slots: int, longest: int, *, engines: int = 1) -> None:
        """Prepare engines that share the setting's threads; they start with the `with` block.

        `longest` is the most tokens of a sample, as a suite's configuration would say.
        """
        values: dict[str, Any] = {
            "model": Path(setting.model),
            "sha256": "",
            "context": setting.context,
            "gpu_layers": setting.offload,
            "mode": mode,
            "slots": slots,
            "threads": max(1, setting.threads // engines),
            "batch": 0,
            "flash_attention": "auto" if setting.flash == "default" else setting.flash == "on",
            "timeout": 600.0,
            "ends": False,
            "sampling": Sampling(**SAMPLING, max_tokens=longest),
            "system": "",
            "template": "{problem}",
        }
        self._values, self._engines = values, engines
        self.figures: list[dict[str, float]] = []

    def __enter__(self) -> Self:
        """Start; the system prompt is part of each job's text, so one start serves all jobs."""
        self._fleet = Fleet(EngineOptions(**self._values), engines=self._engines).__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        """End the engines."""
        self._fleet.__exit__(None, None, None)

    def run(self, job: Job, part: Literal["total", "decode"] = "total") -> float:
        """Run a job and return tokens per second: those of the whole job, or of its decoding steps alone."""
        wanted = [(problem, length) for problem, lengths in enumerate(job.lengths) for length in lengths]
        requests = [
            SampleRequest(key, f"{job.system}\n{job.problems[problem]}", key + 1, str(problem), length, length)
            for key, (problem, length) in enumerate(wanted)
        ]
        started = time.perf_counter()
        completions = list(self._fleet.generate(requests))
        seconds = time.perf_counter() - started
        _same(sum(completion.tokens for completion in completions), job.tokens)
        figures = self._fleet.statistics()
        self.figures.append(figures)
        return job.tokens / (seconds if part == "total" else figures["seconds"] - figures["prompt_seconds"])


# -- llama_cpp.Llama, one sample at a time -----------------------------------------------------------------------------


class Sequential:
    """The class `llama_cpp.Llama` in a process; it reuses the prefix in its cache."""

    def __init__(self, setting: Setting) -> None:
        """Prepare; the `with` block starts the process."""
        self._setting = setting

    def __enter__(self) -> Self:
        """Start the process and load the model."""
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=_sequential, args=(theirs, self._setting), daemon=True)
        self._process.start()
        theirs.close()
        return self

    def __exit__(self, *_: object) -> None:
        """End the process."""
        self._pipe.close()
        self._process.join()

    def run(self, job: Job) -> float:
        """Run a job and return tokens per second, prompts included."""
        prompts = map(job.prompt, job.problems)
        self._pipe.send(list(zip(prompts, job.lengths, strict=True)))
        return job.tokens / float(self._pipe.recv())


def _sequential(pipe: Connection, setting: Setting) -> None:
    """Run jobs and send back the seconds that they took, until the other end is closed."""
    import llama_cpp  # noqa: PLC0415 - llama.cpp belongs into this process alone

    llama = llama_cpp.Llama(
        setting.model,
        n_ctx=setting.context,
        n_threads=setting.threads,
        n_threads_batch=setting.threads,
        n_gpu_layers=setting.gpu_layers,
        flash_attn=setting.flash == "on",
        verbose=False,
    )
    with contextlib.suppress(EOFError):
        while True:
            job = pipe.recv()
            llama.reset()
            started = time.perf_counter()
            for prompt, lengths in job:
                tokens = llama.tokenize(prompt.encode(), add_bos=False, special=True)
                for number, length in enumerate(lengths):
                    llama.set_seed(number)
                    generated = llama.generate(
                        tokens,
                        temp=SAMPLING["temperature"],
                        top_k=SAMPLING["top_k"],
                        top_p=SAMPLING["top_p"],
                        min_p=SAMPLING["min_p"],
                    )
                    for _ in itertools.islice(generated, length):
                        pass
            pipe.send(time.perf_counter() - started)


# -- llama.cpp's own programs ------------------------------------------------------------------------------------------


def _environment(peers: Path) -> dict[str, str]:
    """Return the environment in which the peers find the Python package's libraries."""
    libraries = (peers / "libraries").read_text().strip()
    return {**os.environ, "LD_LIBRARY_PATH": f"{libraries}:{peers / 'bin'}"}


def batched_bench(peers: Path, setting: Setting, *, prompt: int, tokens: int, sequences: int, unified: bool) -> float:
    """Return decode tokens per second of llama-batched-bench, which does not sample.

    `unified` lets all sequences share one cache (-kvu); otherwise each has its own, as in our engine where
    samples are long.
    """
    whole = -(-(prompt + tokens + 8) // 256) * 256
    context = prompt + sequences * (tokens + 8) + 256 if unified else sequences * whole
    command = [
        str(peers / "bin" / "llama-batched-bench"),
        "-m",
        setting.model,
        "-c",
        str(context),
        "-b",
        "2048",
        "-ub",
        "512",
        "-npp",
        str(prompt),
        "-ntg",
        str(tokens),
        "-npl",
        str(sequences),
        "-pps",
        *(["-kvu"] if unified else []),
        "-t",
        str(setting.threads),
        "-tb",
        str(setting.threads),
        *setting.switch,
        "-ngl",
        str(setting.gpu_layers),
    ]
    # Its last line, which is the result, is now and then lost when it ends at once: its log has a thread of its own.
    for _ in range(10):
        done = subprocess.run(command, capture_output=True, text=True, check=True, env=_environment(peers))
        rows = [[cell.strip() for cell in line.strip("| ").split("|")] for line in done.stdout.splitlines()]
        found = [float(cells[7]) for cells in rows if len(cells) == 10 and re.fullmatch(r"\d+", cells[0])]
        if found:
            return found[0]
    raise RuntimeError(f"llama-batched-bench printed no result: {' '.join(command)}")


class Server:
    """llama-server on a free port, under a client that keeps all its slots busy.

    With `share`, the samples of a problem are asked for in one request (`n_cmpl`), which evaluates the prompt once;
    they then need equal lengths.
    """

    def __init__(self, peers: Path, setting: Setting, slots: int) -> None:
        """Prepare; the `with` block starts the server."""
        self._peers, self._setting, self._slots = peers, setting, slots

    def __enter__(self) -> Self:
        """Start the server and wait until it answers."""
        setting = self._setting
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self._port = int(probe.getsockname()[1])
        command = [
            str(self._peers / "bin" / "llama-server"),
            "-m",
            setting.model,
            "--host",
            "127.0.0.1",
            "--port",
            str(self._port),
            "-np",
            str(self._slots),
            "-c",
            str(setting.context * self._slots),
            "-t",
            str(setting.threads),
            "-tb",
            str(setting.threads),
            *setting.switch,
            "-ngl",
            str(setting.gpu_layers),
            "--no-webui",
            "-kvu",
        ]
        self._process = subprocess.Popen(
            command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=_environment(self._peers)
        )
        deadline = time.monotonic() + 120
        while not _healthy(self._port):
            if self._process.poll() is not None or time.monotonic() > deadline:
                self._process.kill()
                raise RuntimeError(f"llama-server did not start: {' '.join(command)}")
            time.sleep(0.1)
        return self

    def __exit__(self, *_: object) -> None:
        """End the server."""
        self._process.terminate()
        self._process.wait()

    def run(self, job: Job, *, share: bool = False) -> float:
        """Run a job and return tokens per second, prompts included."""
        calls = []
        for number, (problem, lengths) in enumerate(zip(job.problems, job.lengths, strict=True)):
            if share:
                calls.append((job.prompt(problem), lengths[0], number, len(lengths)))
            else:
                calls += [(job.prompt(problem), length, 100 * number + k, 1) for k, length in enumerate(lengths)]
        # A request with more samples than there are free slots would hold some of them while it waits for others.
        at_once = self._slots // max(map(len, job.lengths)) if share else self._slots
        started = time.perf_counter()
        with concurrent.futures.ThreadPoolExecutor(at_once) as pool:
            done = [
                pool.submit(_complete, self._port, prompt, length=length, seed=seed, samples=samples)
                for prompt, length, seed, samples in calls
            ]
            tokens = sum(future.result() for future in done)
        _same(tokens, job.tokens)
        return tokens / (time.perf_counter() - started)


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
