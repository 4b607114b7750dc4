from __future__ import annotations

import tempfile
from contextlib import ExitStack
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule, run_state_machine_as_test

from tests.chaos import EXIT, KINDS, REQUESTS, stage
from tests.fault_proxy import FAULTS

pytestmark = pytest.mark.model
STEPS = 30
"""About how many steps with a durable effect a publish has."""


class Publishing(RuleBasedStateMachine):
    """Commits, publishes, crashes, faults and rollbacks in any order; the oracle looks after each that ends well."""

    def __init__(self) -> None:
        """Set the stage; what happens on it is up to the rules."""
        super().__init__()
        self._stack = ExitStack()
        path = Path(self._stack.enter_context(tempfile.TemporaryDirectory(prefix="machine-")))
        self.on = self._stack.enter_context(stage(path, proxied=True))
        self.maybe: set[str] = set()
        self.newest = self.live = ""

    def teardown(self) -> None:
        """Take the stage down, whatever state it is in."""
        self._stack.close()

    @initialize()
    def first(self) -> None:
        """Publish something, so that there is something to go back to."""
        self.on.commit()
        self.publish()

    @rule(kind=st.sampled_from([*KINDS, "good"]), faults=st.lists(st.sampled_from(FAULTS), max_size=2), data=st.data())
    def publish_a_commit(self, kind: str, faults: list[str], data: st.DataObject) -> None:
        """Publish a new commit although requests are spoiled."""
        self.on.commit(kind)
        self.on.proxy.faults += [(REQUESTS[data.draw(st.sampled_from(list(REQUESTS)))], fault) for fault in faults]
        self.publish()

    @rule(kind=st.sampled_from(list(KINDS)), step=st.integers(5, STEPS), when=st.sampled_from(["before", "after"]))
    def crash(self, kind: str, step: int, when: str) -> None:
        """Die at some step of publishing a new commit; the next command has to cope with what was left."""
        commit = self.on.commit(kind)
        done = self.on.run("publish", label=f"step {step}", when=when)
        if done.code == -9:
            self.maybe.add(commit)
        else:
            self.look()

    @rule()
    def publish(self) -> None:
        """Publish what is checked out, until it is published."""
        self.on.finish()
        self.on.proxy.faults.clear()
        self.maybe.discard(self.on.head)
        self.look()

    @rule()
    def reconcile(self) -> None:
        """Finish what crashed, without a new commit."""
        done = self.on.run("reconcile")
        assert done.code == 0, done.err
        self.look()

    @precondition(lambda self: len(self.on.oracle.published()) > 1)
    @rule(data=st.data())
    def roll_back(self, data: st.DataObject) -> None:
        """Show any published snapshot live; publishing what is published does not undo that."""
        commit = data.draw(st.sampled_from(sorted(self.on.oracle.published())))
        done = self.on.run("rollback", f"snapshot-{commit[:12]}", "--why", "any order")
        assert done.code == 0, done.err
        self.live = commit
        self.look()

    def look(self) -> None:
        """Ask the oracle; a snapshot that is newer than all others goes live once."""
        newest = self.on.oracle.newest()
        if newest != self.newest:
            self.newest = self.live = newest
        sure = {commit: word for commit, word in self.on.expected.items() if commit not in self.maybe}
        self.on.oracle.check(sure, self.live, maybe=self.maybe)
        if self.on.head not in self.maybe:
            before = self.on.oracle.state()
            assert self.on.run("publish").code == EXIT[self.on.expected[self.on.head]]
            assert self.on.oracle.state() == before, "a second run was not a no-op"


def test_any_order_of_commits_crashes_faults_and_rollbacks_ends_well() -> None:
    """Hypothesis mixes the steps; after each the oracle finds one deploy a snapshot and live where it should be."""
    run_state_machine_as_test(
        Publishing,
        settings=settings(
            max_examples=3,
            stateful_step_count=7,
            deadline=None,
            derandomize=True,
            database=None,
            suppress_health_check=list(HealthCheck),
            print_blob=False,
        ),
    )
