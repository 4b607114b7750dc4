"""The demo: a real repository, published commit by commit to a Netlify-compatible host on this machine.

Everything goes through the `publisher` command, as a user or a GitHub Action would call it.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys

from commits import COMMITS, write_commit
from stage import ROOT, Stage, say, stop


def main() -> int:
    """Run the demo and return its exit code."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--no-serve", action="store_true", help="end after the table")
    arguments.add_argument("--port", type=int, default=8888)
    options = arguments.parse_args()
    stage = Stage(ROOT / ".demo", "abacus-demo")
    shutil.rmtree(stage.folder, ignore_errors=True)
    stage.make_repository()
    host = stage.start_host(options.port)
    try:
        environment = {**os.environ, **stage.connection(host)}
        for number, commit in enumerate(COMMITS, 1):
            say(f"\n[{number}/{len(COMMITS)}] {commit.subject}")
            write_commit(commit, stage.work, stage.site, stage.git)
            code = stage.publish(environment)
            if code not in {0, 1}:
                say(f"publisher publish ended with exit code {code}")
                return code
        stage.log(environment)
        if not options.no_serve:
            stage.stay(host)
    finally:
        stop(host)
    return 0


if __name__ == "__main__":
    sys.exit(main())
