"""The version of this package, which records name and `publisher --version` prints."""

from __future__ import annotations

__version__ = "0.1.0"
