"""Where the files of the builtin model and suite are, and what to type where an installation lacks one."""

from __future__ import annotations

from pathlib import Path

BUILTIN = Path(__file__).parent / "builtin"
REINSTALL = "pip install --force-reinstall snapshot-publisher"
