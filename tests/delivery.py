"""A shelf whose host stands behind a fault proxy: the stage of the tests of delivery, on which no model runs."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from publisher.netlify.client import Netlify, Settings
from publisher.publishing import deliver, live
from publisher.publishing.turns import Patience
from tests.fault_proxy import Proxy, fault_proxy
from tests.made import GitFolder
from tests.shelf import BUILD, Shelf, shelf

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from publisher.schema import Receipt


@dataclass
class Stage:
    """A shelf whose host stands behind a fault proxy."""

    shelf: Shelf
    proxy: Proxy
    path: Path

    def clone(self) -> Shelf:
        """Return another clone of the repository, with the same secrets."""
        path = self.path / f"clone{len(list(self.path.glob('clone*')))}"
        self.shelf.folder.git("push", "--quiet", "origin", "main")
        self.shelf.folder.git("clone", "--quiet", str(self.path / "origin.git"), str(path))
        return replace(self.shelf, user=replace(self.shelf.user, folder=GitFolder(path)), notes=[])

    def accepted(self, branch: str) -> int:
        """Return how often the host accepted a call of the hook for a branch."""
        effects: list[dict[str, Any]] = self.shelf.netlify.web.request(
            "GET",
            f"{self.shelf.info.api_url}/__host__/effects",
            what="effects",
            headers={"Authorization": f"Bearer {self.shelf.info.token}"},
        ).json("effects")
        return len([one for one in effects if one["effect"] == "hook accepted" and one["branch"] == branch])

    def ready(self, branch: str) -> list[str]:
        """Return the ids of a branch's deploys that can be opened or are on their way."""
        netlify = Netlify(
            Settings.of(
                "demo", {"NETLIFY_AUTH_TOKEN": self.shelf.info.token, "NETLIFY_API_URL": self.shelf.info.api_url}
            )
        )
        return [deploy.id for deploy in netlify.deploys(branch=branch) if not deploy.failed]


@contextmanager
def stage(path: Path, *, token: bool = True, doubt: float = 1.0, build: str = "") -> Iterator[Stage]:
    """Set up a shelf; `build` is shell that the site's builds run first."""
    with shelf(path) as on, fault_proxy(on.info.port) as proxy:
        on.patience = Patience(doubt=doubt, retry=0.1, settle=0.1)
        on.user.environment |= {
            "NETLIFY_API_URL": proxy.url,
            "NETLIFY_BUILD_HOOK": on.info.hook_url.replace(str(on.info.port), str(proxy.port)),
            "NETLIFY_AUTH_TOKEN": on.info.token if token else "",
        }
        on.folder.commit({"build.sh": build + BUILD})
        yield Stage(on, proxy, path)


def publish(on: Shelf, run_id: str) -> Receipt:
    """Deliver a run that is in the ledger and show it live, as `publish` does."""
    on.project.ledger.sync()
    desk = on.desk(run_id)
    receipt = deliver.deliver(desk, desk.project.record(run_id))
    live.show_live(desk, receipt, why="newest kept run")
    return receipt


def branch(run_id: str) -> str:
    """Return the snapshot branch of a commit's first run."""
    return f"snapshot-{run_id.split('-')[1]}"
