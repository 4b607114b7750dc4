"""The official packages from npm, installed once into this folder by `make conformance`."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

HERE = Path(__file__).parent


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Skip what needs npm, unless conformance was asked for."""
    if "conformance" in str(config.option.markexpr):
        return
    for item in items:
        if item.get_closest_marker("conformance"):
            item.add_marker(pytest.mark.skip(reason="`make conformance` runs this"))


def _install(folder: Path) -> Path:
    """Install what `package.json` names, where it is not there yet, and return `node_modules`."""
    modules = folder / "node_modules"
    if not (modules / ".package-lock.json").exists():
        command = ["npm", "install", "--no-audit", "--no-fund", "--no-package-lock", "--ignore-scripts"]
        subprocess.run(command, cwd=folder, check=True, capture_output=True, timeout=600)
    return modules


@pytest.fixture(scope="session")
def packages() -> Path:
    """Return the folder of the API description and the API client."""
    return _install(HERE)


@pytest.fixture(scope="session")
def netlify_cli() -> Path:
    """Return Netlify's command line."""
    return _install(HERE / "cli") / ".bin" / "netlify"
