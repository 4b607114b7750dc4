"""Two gray releases, replayed on this machine: one that its reviewers abort, and one that its readers carry to the end.

The commands are typed as a person types them. The people are simulated: reviewers rate answers in `publisher review`,
readers open the site, see the live snapshot or the candidate as the host splits them, and send the form of the page
that they see. The host's clock is advanced, so that three days pass in a minute.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import re
import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from http.client import HTTPConnection
from typing import TYPE_CHECKING
from urllib.parse import urlencode, urlsplit

from commits import CONFIG, STEPS
from stage import PUBLISHER, ROOT, Stage, say, stop

from publisher.publishing.find import find_snapshot
from publisher.publishing.project import Project
from publisher.publishing.reviewing import tasks

if TYPE_CHECKING:
    from collections.abc import Sequence

MORE = """live = "approve"        # a new snapshot goes live when somebody, or a canary, says so

[site]
feedback = true         # the pages of what is live ask for ratings, too

[canary]
stages = [10, 50, 100]
hours = 24
responses = 8
hourly = 200
"""
LIKED, DISLIKED = (1, 2, 5, 35, 57), (35, 40, 20, 4, 1)
"""How many of 100 people give 1 to 5."""
REVIEWERS = ("Ada", "Ben", "Cleo", "Dan", "Eva", "Finn", "Gita", "Hal", "Ida", "Jon")
READERS = 120
"""Fresh readers a day."""


@dataclass
class Play:
    """The stage of the demo, with what connects its commands to the host."""

    stage: Stage
    environment: dict[str, str]
    chance: random.Random = field(default_factory=lambda: random.Random(3))  # noqa: S311 - a replay

    def type(self, *arguments: str, typed: str = "", silent: bool = False) -> str:
        """Run a command of the publisher, print it and what it says, and return that."""
        if not silent:
            say("\n$ " + shlex.join(["publisher", *arguments]))
        command = [PUBLISHER, "--repo", self.stage.work, *arguments]
        # What publish says of its course is shown by `make demo`.
        stderr = subprocess.DEVNULL if arguments[0] == "publish" else subprocess.STDOUT
        done = subprocess.run(
            command,
            env=self.environment,
            input=typed,
            stdout=subprocess.PIPE,
            stderr=stderr,
            text=True,
            check=False,
        )
        if not silent:
            say(done.stdout.rstrip())
        if done.returncode:
            raise SystemExit(f"publisher {arguments[0]} ended with exit code {done.returncode}")
        return done.stdout

    def snapshot(self, subject: str, **changes: str) -> str:
        """Commit a change, publish it, and return its snapshot."""
        values = {"source": "builtin:abacus@final", "temperature": 0.0, "template": STEPS, "site": self.stage.site}
        config = CONFIG.format(**{**values, **changes}) + MORE
        (self.stage.work / "publisher.toml").write_text(config, encoding="utf-8")
        self.stage.commit(subject)
        say(f"\n$ git commit -m {shlex.quote(subject)} && git push")
        self.type("publish")
        commit = self.stage.git("rev-parse", "HEAD").strip()
        return f"snapshot-{commit[:12]}"

    def reviewed(self, snapshot: str, live: str, reviewers: Sequence[str]) -> None:
        """Let people rate five answers of two snapshots, blind; they dislike those of the first."""
        project = Project.open(self.stage.work, self.environment)
        runs = [find_snapshot(project, wanted) for wanted in (snapshot, live)]
        for number, name in enumerate(reviewers):
            ratings = [
                self._rating(
                    f"{shown.sample.problem} {shown.run_id}", DISLIKED if shown.run_id == runs[0].run_id else LIKED
                )
                for task in tasks(project, runs, name, count=5)
                for shown in task.answers
            ]
            command = ["review", snapshot, "--against", live, "--sample", "5", "--as", name]
            if number == 0:
                say("\n$ " + shlex.join(["publisher", *command]) + "   # and so do " + ", ".join(reviewers[1:]))
            self.type(*command, typed="\n".join(ratings) + "\n", silent=True)

    def _rating(self, answer: str, shares: Sequence[int]) -> str:
        """Return what somebody types: an answer is rated much alike by everybody, and one person in three differs."""
        common = random.Random(answer).choices((1, 2, 3, 4, 5), shares)[0]  # noqa: S311 - a replay
        return str(min(5, max(1, common + self.chance.choice((-1, 0, 0, 0, 0, 1)))))

    def read(self, liked: Sequence[int]) -> str:
        """Let a day's fresh readers rate the snapshot that they are shown; return how many saw which."""
        shown: dict[str, int] = {}
        for _ in range(READERS):
            page = self._ask("GET", "/feedback/")
            run = re.search(r'name="run" value="([^"]+)"', page)
            if run is None:
                raise SystemExit("the page has no form")
            shown[run[1]] = shown.get(run[1], 0) + 1
            if self.chance.random() < 1 / 3:
                rating = self.chance.choices((1, 2, 3, 4, 5), liked)[0]
                self._ask("POST", "/feedback/thanks/", {"form-name": "feedback", "run": run[1], "rating": str(rating)})
        return ", ".join(f"{count} saw snapshot-{run.split('-')[1]}" for run, count in sorted(shown.items()))

    def tomorrow(self) -> None:
        """Advance the host's clock by a day."""
        address, token = self.environment["NETLIFY_API_URL"], self.environment["NETLIFY_AUTH_TOKEN"]
        connection = HTTPConnection(urlsplit(address).netloc, timeout=30)
        headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        connection.request("POST", "/__host__/clock", json.dumps({"seconds": 24 * 3600 + 60}), headers)
        if connection.getresponse().status >= 400:
            raise SystemExit("the host's clock was not advanced")
        connection.close()

    def _ask(self, method: str, path: str, form: dict[str, str] | None = None) -> str:
        """Ask the main address as a reader does who was never here before."""
        place = urlsplit(self.environment["NETLIFY_API_URL"])
        connection = HTTPConnection(place.netloc, timeout=30)
        headers = {"Host": f"{self.stage.site}.localhost:{place.port}"}
        if form:
            headers["Content-Type"] = "application/x-www-form-urlencoded"
        connection.request(method, path, urlencode(form) if form else None, headers)
        answer = connection.getresponse()
        text = answer.read().decode()
        connection.close()
        if answer.status != 200:
            raise SystemExit(f"{method} {path} answered {answer.status}")
        return text


def story(play: Play) -> None:
    """Play both gray releases."""
    say("\n[1/3] What is live")
    live = play.snapshot("Answer step by step")
    play.type("rollback", live, "--why", "the first one")

    say("\n[2/3] A candidate with the same score, whose answers people find harder to follow")
    worse = play.snapshot("Leave the system prompt out", template="{problem}")
    play.type("canary", "start", worse, "--why", "a shorter prompt costs less")
    play.reviewed(worse, live, REVIEWERS[:3])
    play.type("canary", "step")
    play.reviewed(worse, live, REVIEWERS[3:])
    play.type("canary", "status")
    play.type("canary", "step")
    play.type("canary", "status")

    say("\n[3/3] A candidate that readers like as much as what is live")
    better = play.snapshot("Ask politely", template=STEPS.replace("Let's think", "Please think"))
    play.type("canary", "start", better, "--why", "a politer prompt")
    for day in range(1, 12):
        say(f"\nday {day}: {play.read(LIKED)}")
        play.tomorrow()
        if "goes live" in play.type("canary", "step"):
            break
    play.type("canary", "status")


def main() -> int:
    """Run the demo and return its exit code."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--no-serve", action="store_true", help="end after the story")
    arguments.add_argument("--port", type=int, default=8888)
    options = arguments.parse_args()
    stage = Stage(ROOT / ".demo-canary", "canary-demo")
    shutil.rmtree(stage.folder, ignore_errors=True)
    stage.make_repository()
    host = stage.start_host(options.port)
    try:
        story(Play(stage, {**os.environ, **stage.connection(host)}))
        if not options.no_serve:
            stage.stay(host)
    finally:
        stop(host)
    return 0


if __name__ == "__main__":
    sys.exit(main())
