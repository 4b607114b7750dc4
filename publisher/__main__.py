"""The command `publisher`, also as `python -m publisher`."""

from __future__ import annotations

import os

TYPE_CHECKING = False  # not imported, as in publisher/__init__.py
if TYPE_CHECKING:
    from typing import NoReturn


def main() -> NoReturn:
    """Load the command line and run it; Ctrl-C while it loads ends it like any other Ctrl-C."""
    try:
        from publisher.cli import main as run  # noqa: PLC0415 - loading is what may be interrupted
    except BaseException as error:
        cause: BaseException | None = error
        while cause is not None and not isinstance(cause, KeyboardInterrupt):
            cause = cause.__cause__ or cause.__context__
        if cause is None:
            raise
        os._exit(130)
    run()


if __name__ == "__main__":
    main()
