"""A person's look at an answer that readers reported as wrong."""

from __future__ import annotations

from typing import TYPE_CHECKING

from publisher.errors import LostRaceError, UsageError
from publisher.ledger import canaries
from publisher.publishing.canary.listen import is_answer
from publisher.publishing.deliver import Desk
from publisher.publishing.give_up import check_reason
from publisher.schema import Confirmation

if TYPE_CHECKING:
    from publisher.publishing.project import Project

ATTEMPTS = 12


def confirm(project: Project, answer: str, *, wrong: bool, why: str) -> Confirmation:
    """Write down that a person looked at an answer of the candidate; the last look counts.

    Raises UsageError where no gray release is running, or `answer` is no address in a snapshot.
    """
    why = check_reason(why)
    if not is_answer(answer):
        raise UsageError(
            f"{answer[:100]!r} is no address in a snapshot", hint="publisher canary status   lists what was reported"
        )
    project.ledger.sync()
    for _ in range(ATTEMPTS):
        canary = canaries.running(project.ledger)
        run = project.run(canary.start.run_id) if canary else None
        if canary is None or run is None:
            raise UsageError("no canary is running", hint="publisher canary status")
        known = canaries.confirmations(project.ledger, canary.start.run_id).get(answer)
        made = Confirmation(
            run_id=canary.start.run_id,
            answer=answer,
            number=known.number + 1 if known else 1,
            wrong=wrong,
            who=project.who,
            why=why,
            time=Desk.of_run(project, run, lambda _: None).moment(),
        )

        def taken(made: Confirmation = made) -> bool:
            now = canaries.confirmations(project.ledger, made.run_id).get(made.answer)
            return now is not None and now.number >= made.number

        project.ledger.append(canaries.report_file(made), f"Look at {answer}\n", unless=taken)
        if canaries.confirmations(project.ledger, made.run_id).get(answer) == made:
            return made
    raise LostRaceError("others keep looking at the same answer", hint="publisher canary status")
