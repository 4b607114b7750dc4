"""The command `publisher`, also as `python -m publisher`."""

from __future__ import annotations

import os
from typing import NoReturn


def main() -> NoReturn:
    """Load the command line and run it; Ctrl-C while it loads ends it like any other Ctrl-C."""
    try:
        from publisher.cli import main as run  # noqa: PLC0415 - loading is what may be interrupted
    except KeyboardInterrupt:
        os._exit(130)
    run()


if __name__ == "__main__":
    main()
