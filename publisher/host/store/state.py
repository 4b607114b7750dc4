"""What the host can do to its deploys, apart from building them. Every change is made here, on the event loop."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from msgspec.structs import replace

from publisher.host.store.clock import Clock
from publisher.host.store.effects import Effects
from publisher.host.store.records import SCHEMA, Deploy, Form, Hook, Manifest, new_id
from publisher.host.store.store import Store, branch_label, is_id

if TYPE_CHECKING:
    from publisher.host.options import HostOptions

_DAY = 86_400.0
_MOST_PATHS = 100


class RefusedError(Exception):
    """A request that the API answers with an error; it changed nothing."""

    def __init__(self, status: int, message: str, headers: dict[str, str] | None = None) -> None:
        """Keep the HTTP status, the message, and additional headers."""
        super().__init__(message)
        self.status = status
        self.message = message
        self.headers = headers or {}


class State:
    """One running host: its options, its clock, its store and the addresses that it hands out."""

    def __init__(self, options: HostOptions, *, port: int, token: str) -> None:
        """Open the state folder and read it."""
        self.options = options
        self.port = port
        self.token = token
        self.private = options.private
        self.clock = Clock()
        self.store = Store(options.state)
        try:
            self.store.load(options.site, options.production_branch, self.clock.now())
        except BaseException:
            self.store.close()
            raise
        self.clock.advance(self.store.site.clock)
        self.effects = Effects(options.state / "effects.jsonl", self.clock)

    @property
    def origin(self) -> str:
        """Where the API is."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def site_url(self) -> str:
        """The site's main address."""
        return f"http://{self.options.site}.localhost:{self.port}"

    def address(self, label: str) -> str:
        """Return the address of a deploy id or a branch label."""
        return f"http://{label}--{self.options.site}.localhost:{self.port}"

    def branch_url(self, branch: str) -> str:
        """Return the address that follows a branch."""
        return self.address(branch_label(branch, self.options.site))

    def hook_url(self, hook: Hook) -> str:
        """Return a build hook's address, which is a secret."""
        return f"{self.origin}/build_hooks/{hook.id}"

    def deploy(self, deploy_id: str) -> Deploy:
        """Return a deploy. Raises RefusedError (404) for an unknown id."""
        deploy = self.store.deploys.get(deploy_id)
        if deploy is None:
            raise RefusedError(404, "Not Found")
        return deploy

    def serving(self, label: str) -> Deploy | None:
        """Return the deploy that a first label of a host name shows, or None."""
        if label == self.options.site:
            return self.store.published()
        prefix, separator, name = label.rpartition("--")
        if not separator or name != self.options.site:
            return None
        deploy = self.store.deploys.get(prefix) if is_id(prefix) else None
        if deploy is not None:
            return deploy if deploy.state == "ready" else None
        return self.store.by_label(prefix)

    def new_deploy(
        self, *, branch: str, title: str, context: str, source: str, state: str, draft: bool = False, build_id: str = ""
    ) -> Deploy:
        """Store a deploy that has been requested."""
        now = self.clock.now()
        return self.store.save_deploy(
            Deploy(
                schema=SCHEMA,
                id=new_id(),
                number=self.store.next_number(),
                state=state,
                context=context,
                branch=branch,
                title=title,
                created_at=now,
                updated_at=now,
                source=source,
                draft=draft,
                build_id=build_id,
            )
        )

    def move(self, deploy: Deploy, state: str, **changes: str | bool) -> Deploy:
        """Store a deploy's new state."""
        changed = replace(deploy, state=state, updated_at=self.clock.now(), **changes)
        self.store.save_deploy(changed)
        self.effects.record(
            f"deploy {state}",
            deploy_id=deploy.id,
            build_id=deploy.build_id,
            branch=deploy.branch,
            skipped=changed.skipped,
        )
        return changed

    def complete(self, deploy: Deploy, manifest: Manifest) -> None:
        """Make a deploy ready; publish it if it is a production deploy and publishing is not locked."""
        self.store.save_manifest(deploy.id, manifest)
        self._learn_forms(manifest)
        self.publish_if_due(self.move(deploy, "ready"))

    def publish_if_due(self, deploy: Deploy) -> None:
        """Publish a ready production deploy, unless publishing is locked."""
        shown = self.store.published()
        if deploy.context == "production" and not deploy.draft and not (shown is not None and shown.locked):
            self._publish(deploy, "published")

    def restore(self, deploy: Deploy) -> Deploy:
        """Publish a kept deploy. The lock of the one that it replaces is not carried over."""
        if deploy.state != "ready":
            raise RefusedError(422, f"Deploy {deploy.id} is {deploy.state} and cannot be published")
        self._publish(deploy, "restored")
        return self.deploy(deploy.id)

    def roll_back(self) -> None:
        """Publish the deploy that was published before."""
        previous = self.store.deploys.get(self.store.site.previous)
        if previous is None:
            raise RefusedError(422, "There is no earlier deploy to go back to")
        self.restore(previous)

    def lock(self, deploy: Deploy, *, locked: bool) -> Deploy:
        """Turn automatic publishing off or on; only the published deploy can be locked."""
        if locked and deploy.id != self.store.site.published:
            raise RefusedError(422, "Only the published deploy can be locked")
        changed = self.store.save_deploy(replace(deploy, locked=locked, updated_at=self.clock.now()))
        self.effects.record("locked" if locked else "unlocked", deploy_id=deploy.id)
        return changed

    def delete(self, deploy: Deploy) -> None:
        """Delete a deploy permanently, unless it is the published one or still being built."""
        if deploy.id == self.store.site.published:
            raise RefusedError(422, "The published deploy cannot be deleted")
        if not deploy.final:
            raise RefusedError(422, "A deploy in progress cannot be deleted")
        self.store.forget(deploy)
        self.effects.record("deleted", deploy_id=deploy.id, reason="asked")

    def advance(self, seconds: float) -> list[str]:
        """Advance the clock, delete deploys that are now too old, and return their ids."""
        self.clock.advance(seconds)
        self.store.save_site(replace(self.store.site, clock=self.clock.ahead))
        self.effects.record("clock advanced", seconds=int(seconds))
        return self.expire()

    def expire(self) -> list[str]:
        """Delete the deploys that Netlify's retention would delete by now and return their ids."""
        if not self.options.retention_days:
            return []
        oldest = self.clock.now() - self.options.retention_days * _DAY
        kept = self._exempt()
        expired = [
            deploy
            for deploy in self.store.deploys.values()
            if deploy.created_at < oldest and deploy.final and deploy.id not in kept
        ]
        for deploy in expired:
            self.store.forget(deploy)
            self.effects.record("deleted", deploy_id=deploy.id, reason="retention")
        return [deploy.id for deploy in expired]

    def add_hook(self, title: str, branch: str) -> Hook:
        """Create another build hook."""
        hook = Hook(id=new_id(), title=title, branch=branch, created_at=self.clock.now())
        self.store.save_site(replace(self.store.site, hooks=(*self.store.site.hooks, hook)))
        self.effects.record("hook made", hook=masked(hook.id))
        return hook

    def _learn_forms(self, manifest: Manifest) -> None:
        """Remember the forms that a deploy declares: they are the site's, by name, and the newest deploy says how."""
        forms = {form.name: form for form in self.store.site.forms}
        for found in manifest.forms:
            known = forms.get(found.name)
            paths = {found.path: None} if known is None else dict.fromkeys((*known.paths, found.path))
            forms[found.name] = Form(
                id=known.id if known else new_id(),
                name=found.name,
                paths=tuple(paths)[-_MOST_PATHS:],
                fields=found.fields,
                honeypot=found.honeypot,
                created_at=known.created_at if known else self.clock.now(),
            )
        if manifest.forms:
            self.store.save_site(replace(self.store.site, forms=tuple(forms.values())))

    def _publish(self, deploy: Deploy, effect: str) -> None:
        now = self.clock.now()
        shown = self.store.published()
        self.store.save_deploy(replace(deploy, published_at=now, updated_at=now))
        previous = self.store.site.previous if shown is None or shown.id == deploy.id else shown.id
        self.store.save_site(replace(self.store.site, published=deploy.id, previous=previous, updated_at=now))
        if shown is not None and shown.locked and shown.id != deploy.id:
            self.store.save_deploy(replace(shown, locked=False))
        self.effects.record(effect, deploy_id=deploy.id, branch=deploy.branch)

    def _exempt(self) -> set[str]:
        """Return what is never deleted by age: the published deploy, and the newest success of each git branch."""
        kept = {self.store.site.published}
        newest = {
            (deploy.context, deploy.branch): deploy.id
            for deploy in self.store.deploys.values()
            if deploy.state == "ready"
            and not deploy.draft
            and (deploy.source != "upload" or deploy.context == "production")
        }
        return kept | set(newest.values())


def masked(secret: str) -> str:
    """Return enough of a secret to tell two apart, and too little to use it."""
    return re.sub(r"(?<=....).", "*", secret, flags=re.DOTALL)
