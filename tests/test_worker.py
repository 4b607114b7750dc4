from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import msgspec
import pytest

from publisher.engine import protocol
from publisher.engine.fleet import Fleet
from publisher.engine.process import EngineProcess
from publisher.engine.protocol import (
    Answer,
    Beat,
    Completion,
    Failed,
    FrameReader,
    Generate,
    SampleRequest,
)
from publisher.errors import ModelError
from publisher.files import sha256_file
from tests.engines import options, pid, requests
from tests.gguf_maker import BUILTIN, builtin_with, gguf, open_descriptors
from tests.made import record

pytestmark = pytest.mark.model
pytest.importorskip("llama_cpp")


def refusal(**changes: Any) -> ModelError:
    """Return the error with which an engine fails to start."""
    with pytest.raises(ModelError) as caught, EngineProcess(options(**changes)):
        pass
    assert caught.value.hint
    return caught.value


def test_the_parent_never_imports_llama_cpp() -> None:
    """A process that only starts engines does not load llama.cpp's libraries."""
    code = "import sys, publisher.engine.process; sys.exit('llama_cpp' in sys.modules or 'numpy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_the_model_is_described() -> None:
    """Facts and identity say which bytes were loaded and what runs the model."""
    with EngineProcess(options()) as engine:
        facts, identity = engine.facts, engine.identity
    assert facts.sha256 == sha256_file(BUILTIN)
    assert (facts.architecture, facts.quantization, facts.size) == ("llama", "Q8_0", BUILTIN.stat().st_size)
    assert (identity.name, identity.mode, identity.slots, identity.context) == ("llama.cpp", "reproducible", 4, 256)
    assert identity.options["extra_bufts"] == "off"
    assert not {"slots", "threads"} & set(identity.options)


def test_completions_arrive_with_their_figures() -> None:
    """Every request gets one completion; the figures of the run fit them."""
    with EngineProcess(options()) as engine:
        completions = list(engine.generate(requests(6)))
        figures = engine.statistics()
    assert sorted(completion.key for completion in completions) == list(range(6))
    assert {completion.finish for completion in completions} == {"stop"}
    assert all("\\boxed{" in completion.text for completion in completions)
    assert all(completion.prompt_time <= completion.latency for completion in completions)
    assert figures["decode_tokens"] >= sum(completion.tokens for completion in completions)
    assert figures["peak_memory"] > 1 << 20


def test_figures_are_there_while_it_runs() -> None:
    """Figures are available long before the last completion."""
    with EngineProcess(options(slots=1)) as engine:
        running = engine.generate(requests(100_000))
        deadline = time.monotonic() + 60
        while not engine.statistics().get("decode_tokens"):
            next(running)
            assert time.monotonic() < deadline
        assert engine.statistics()["decode_tokens_per_second"] > 0


def test_a_problem_that_the_template_rejects_is_that_samples_error(tmp_path: Path) -> None:
    """A template may reject one problem; the others are answered."""
    chat = "{% if 'stop' in messages[-1].content %}{{ raise_exception('no') }}{% endif %}{{ messages[-1].content }}"
    with EngineProcess(options(model=builtin_with(tmp_path / "m.gguf", template=chat))) as engine:
        wanted = [SampleRequest(1, "stop", 1, "a", 4), SampleRequest(2, "go", 1, "b", 4)]
        found = {done.key: done for done in engine.generate(wanted)}
    assert found[1].finish == "error"
    assert "no" in found[1].reason
    assert found[2].finish in {"stop", "length"}


def test_a_quantized_cache_needs_flash_attention() -> None:
    """The KV cache may be quantized, with the option that llama.cpp then needs."""
    assert "needs flash attention" in refusal(kv_type="q8_0").message
    with EngineProcess(options(kv_type="q8_0", flash_attention=True)) as engine:
        assert engine.identity.options["kv_type"] == "q8_0"
        assert "slots" in engine.identity.options
        assert len(list(engine.generate(requests(3)))) == 3


def test_an_engine_answers_more_than_once() -> None:
    """A second batch of requests runs on the same loaded model, with the same answers; none is no work."""
    with EngineProcess(options()) as engine:
        first = [completion.text for completion in engine.generate(requests(1))]
        assert list(engine.generate([])) == []
        assert [completion.text for completion in engine.generate(requests(1))] == first


def test_a_missing_model_is_an_error(tmp_path: Path) -> None:
    """The path that cannot be opened is named."""
    assert "nothing.gguf" in refusal(model=tmp_path / "nothing.gguf").message


def test_another_digest_is_rejected() -> None:
    """The error for a wrong pinned digest names both digests."""
    error = refusal(sha256="0" * 64)
    assert sha256_file(BUILTIN) in error.message


def test_a_model_without_a_template_is_rejected(tmp_path: Path) -> None:
    """llama.cpp would guess a template; this engine does not."""
    assert "no chat template" in refusal(model=builtin_with(tmp_path / "m.gguf", template="")).message


def test_a_template_that_attacks_is_rejected(tmp_path: Path) -> None:
    """A template that reaches out of its sandbox is one clear error."""
    model = builtin_with(tmp_path / "m.gguf", template="{{ ''.__class__.__mro__ }}")
    assert "SecurityError" in refusal(model=model).message


def test_a_template_that_one_step_keeps_busy_is_stopped(tmp_path: Path) -> None:
    """A huge power takes hours within a single step of the interpreter; the limit holds all the same."""
    model = builtin_with(tmp_path / "m.gguf", template="{{ messages and 7 ** (9 ** 8) % 10 }}")
    error = refusal(model=model, template_seconds=0.3)
    assert "was ended: the chat template could not be rendered within 0.3 seconds" in error.message
    assert "chat_template" in error.hint


def test_a_file_that_llama_cpp_rejects_shows_its_log(tmp_path: Path) -> None:
    """A sound header with senseless contents ends with llama.cpp's own reason."""
    model = tmp_path / "m.gguf"
    model.write_bytes(gguf())
    error = refusal(model=model)
    assert "llama.cpp cannot load the model" in error.message
    assert "error loading model" in error.detail


def test_an_absurd_context_is_an_error() -> None:
    """A context that memory cannot hold is an error that names the option to change."""
    assert refusal(slots=257).message.startswith("llama.cpp cannot make a context")


@pytest.mark.parametrize("death", [signal.SIGKILL, signal.SIGSEGV, signal.SIGABRT])
def test_a_crash_becomes_one_error(death: signal.Signals) -> None:
    """The error for a child that dies names its signal; completions before it have been delivered."""
    with EngineProcess(options(slots=1)) as engine:
        running = engine.generate(requests(400))
        assert next(running).finish == "stop"
        os.kill(pid(engine), death)
        with pytest.raises(ModelError, match=death.name) as caught:
            list(running)
        assert caught.value.hint


def test_a_hang_becomes_one_error() -> None:
    """A child that sends nothing is ended after the timeout."""
    with EngineProcess(options()) as engine:
        assert engine._child is not None
        engine._child._timeout = 1.0  # only now: starting takes longer on a busy machine
        os.kill(pid(engine), signal.SIGSTOP)
        before = time.monotonic()
        with pytest.raises(ModelError, match="no sign of life for 1 seconds"):
            list(engine.generate(requests(2)))
        assert time.monotonic() - before < 5


def test_an_engine_that_failed_says_so() -> None:
    """After a crash the engine cannot be used again, and says so."""
    with EngineProcess(options()) as engine:
        os.kill(pid(engine), signal.SIGKILL)
        with pytest.raises(ModelError):
            list(engine.generate(requests(1)))
        with pytest.raises(ModelError, match="not running"):
            list(engine.generate(requests(1)))


def test_nothing_is_left_behind() -> None:
    """After a loop that was left early, no process and no descriptor remains."""
    before = open_descriptors()
    with EngineProcess(options()) as engine:
        child = pid(engine)
        next(engine.generate(requests(50)))
    assert not Path(f"/proc/{child}").exists()
    assert open_descriptors() == before


def test_the_child_has_no_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    """The child inherits only the listed variables."""
    monkeypatch.setenv("NETLIFY_AUTH_TOKEN", "canary-1234")
    with EngineProcess(options()) as engine:
        environment = Path(f"/proc/{pid(engine)}/environ").read_bytes()
    assert b"canary" not in environment
    assert b"GGML_CPU_TILED_MM_FORCE=1" in environment


def test_the_child_is_confined() -> None:
    """The engine's process is not root, its system calls are filtered, and the identity says so."""
    with EngineProcess(options()) as engine:
        status = Path(f"/proc/{pid(engine)}/status").read_text()
        found = engine.identity.confinement
    assert found is not None
    assert (found.calls, found.user == 0) == (True, False)
    assert f"Uid:\t{found.user}\t" in status
    assert "Seccomp:\t2" in status


OLD_KERNEL = """
from publisher.engine.process import EngineProcess
from tests.attacker import without_landlock
from tests.engines import options, requests
without_landlock()
with EngineProcess(options()) as engine:
    print(engine.identity.confinement.landlock, engine.identity.confinement.missing)
    print(len(list(engine.generate(requests(2)))))
"""


def test_an_engine_that_cannot_be_confined_says_so() -> None:
    """On a kernel without Landlock the engine works, and its identity lists what stayed open."""
    root = Path(__file__).parents[1]
    done = subprocess.run([sys.executable, "-c", OLD_KERNEL], capture_output=True, text=True, check=True, cwd=root)
    first, second = done.stdout.splitlines()
    assert first.startswith("0 [")
    assert "no Landlock" in first
    assert second == "2"


PARENT = """
import sys
from publisher.engine.process import EngineProcess
from tests.engines import options, pid, requests
with EngineProcess(options(slots=1)) as engine:
    print(pid(engine), flush=True)
    for completion in engine.generate(requests(100_000)):
        pass
"""


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_the_child_dies_with_its_parent(number: signal.Signals) -> None:
    """However the parent ends, the child is gone soon after."""
    root = Path(__file__).parents[1]
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, cwd=root
    )
    with parent:
        assert parent.stdout is not None
        child = Path("/proc") / parent.stdout.readline().strip()
        assert child.exists()
        parent.send_signal(number)
        try:
            parent.wait(60)
        finally:
            parent.kill()
    deadline = time.monotonic() + 60
    while child.exists() and "Z" not in (child / "stat").read_text():
        assert time.monotonic() < deadline, "the child outlived its parent"
        time.sleep(0.02)


HOSTILE = """#!{python}
import os, sys
import msgspec
from publisher.engine import protocol
from publisher.engine.protocol import Answer, Completion, Finished, FrameReader, Generate, Loaded, ModelFacts
from publisher.schema import EngineIdentity
source, target = int(sys.argv[-4]), int(sys.argv[-3])
identity = {identity!r}
reader = FrameReader(protocol.FromParent)
facts = ModelFacts("", 1, "", "", 1, "", 1, "", 1, 1)
protocol.write_all(target, protocol.frame(Loaded(facts, msgspec.convert(identity, EngineIdentity))))
while not any(isinstance(message, Generate) for message in reader.feed(os.read(source, 65536))):
    pass
for key in {keys!r}:
    answer = Answer(Completion(key, "x", "stop", 1, 1, 0.1, 0.1, 0.1, ""))
    protocol.write_all(target, protocol.frame(answer))
protocol.write_all(target, protocol.frame(Finished({{}})))
os.read(source, 1)
"""


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ([0], "without answering 1 of 2 samples"),
        ([0, 0], "answered sample 0, which it was not asked for or had answered before"),
        ([0, 1, 7], "answered sample 7"),
    ],
)
def test_a_child_that_answers_something_else_is_one_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, keys: list[int], message: str
) -> None:
    """A process that a model has taken over cannot leave samples out, answer twice or invent some."""
    identity = msgspec.to_builtins(record().engine)
    program = tmp_path / "python"
    program.write_text(HOSTILE.format(python=sys.executable, identity=identity, keys=keys))
    program.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(program))
    with Fleet(options(), engines=1) as fleet, pytest.raises(ModelError, match=message):
        list(fleet.generate(requests(2)))


@pytest.mark.parametrize("engines", [1, 2])
def test_an_unexpected_failure_is_an_error_of_the_run(engines: int) -> None:
    """A text that cannot be sent ends the run with one ModelError, in a thread of the fleet as well."""
    wanted = [SampleRequest(1, "\ud800", 1, "a"), SampleRequest(2, "\ud800", 1, "b")]
    with Fleet(options(), engines=engines) as fleet, pytest.raises(ModelError, match="UnicodeEncodeError"):
        list(fleet.generate(wanted))


def test_messages_survive_any_cut() -> None:
    """A stream that arrives byte by byte decodes to the messages that were sent."""
    completion = Completion(1, "é\ud7ff", "stop", 2, 3, 0.1, 0.2, 0.3, "")
    sent: list[protocol.Message] = [Beat("x"), Answer(completion), Failed("a", "b", "c")]
    reader = FrameReader(protocol.FromChild)
    data = b"".join(map(protocol.frame, sent))
    assert [message for byte in data for message in reader.feed(bytes([byte]))] == sent


@pytest.mark.parametrize("data", [b"\xff\xff\xff\xff", b"\x01\x00\x00\x00\xc1", protocol.frame(Generate([]))])
def test_bytes_that_are_no_message_are_an_error(data: bytes) -> None:
    """Absurd lengths, bytes that are not MessagePack and messages of the other side are errors."""
    with pytest.raises(ValueError, match=r".+"):
        FrameReader(protocol.FromChild).feed(data)
