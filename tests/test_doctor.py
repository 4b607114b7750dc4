from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from publisher.engine.devices import install_command
from publisher.engine.doctor import confinement_lines, inspect_engine
from publisher.schema import Confinement
from tests.gguf_maker import BUILTIN, builtin_with

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.model
pytest.importorskip("llama_cpp")


def test_a_healthy_engine_is_described() -> None:
    """The report names the build, the devices and what happened to the builtin model."""
    report = inspect_engine(BUILTIN)
    assert report.library is not None
    assert report.library.version
    assert any(device.kind == "CPU" for device in report.library.devices)
    assert (report.loaded, report.repeatable, report.layers) == (True, True, 3)
    assert report.decode_tokens_per_second > 0


def test_a_model_that_does_not_load_is_a_problem_with_a_hint(tmp_path: Path) -> None:
    """Each problem has a hint."""
    report = inspect_engine(builtin_with(tmp_path / "m.gguf", template=""))
    assert not report.healthy
    assert "no chat template" in report.problems[0]
    assert len(report.hints) == len(report.problems)


def test_the_install_command_names_the_backend() -> None:
    """The command for a CUDA build can be copied as it stands."""
    assert install_command().startswith('CMAKE_ARGS="-DGGML_CUDA=on" pip install')


def test_what_a_kernel_cannot_deny_is_printed() -> None:
    """The lines for people name the user, Landlock, the filter, and each thing that stayed open."""
    found = Confinement(user=1000, landlock=0, calls=False, missing=["files are not confined"])
    assert confinement_lines(found) == [
        "confined processes: user 1000, no Landlock, system calls not filtered",
        "  NOT confined: files are not confined",
    ]
