"""The queue of builds: one at a time per branch; of those waiting for a branch, only the newest is built."""

from __future__ import annotations

import asyncio
import logging
import shutil
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from msgspec.structs import replace

from publisher.errors import DeployError, PublisherError, StorageError
from publisher.files import atomic_write
from publisher.git import clone_branch
from publisher.host.build.environment import BuildFacts, build_environment, site_variables
from publisher.host.build.folder import publish_folder
from publisher.host.build.runner import CANCELED, BuildLog, Confinement, run_command
from publisher.host.build.settings import BuildSettings, read_settings
from publisher.host.store.blobs import read_plain_file
from publisher.host.store.records import SCHEMA, Build, Deploy, Hook, Manifest, new_id
from publisher.host.store.state import RefusedError, State

if TYPE_CHECKING:
    from collections.abc import Callable

_MAX_TOML = 1024 * 1024
_LOG = logging.getLogger("publisher.host")
Result = TypeVar("Result")


class _Job:
    """A build that runs."""

    def __init__(self, build: Build, branch: str, log_bound: int) -> None:
        self.build = build
        self.branch = branch
        self.log = BuildLog(log_bound)
        self.cancelled = threading.Event()


class Builds:
    """The builds that wait and the builds that run. Used from the event loop only; the work is done in threads."""

    def __init__(self, state: State) -> None:
        """Build for `state`."""
        self._state = state
        self._waiting: list[Build] = []
        self._running: dict[str, _Job] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._threads = ThreadPoolExecutor(state.options.builders, thread_name_prefix="build")
        self._stopping = False

    def resume(self) -> None:
        """Resume after a stop or a crash: ready builds are finished, started ones fail, waiting ones queue again."""
        store = self._state.store
        undone = [build for build in store.builds.values() if not build.done]
        for build in sorted(undone, key=lambda build: build.created_at):
            deploy = store.deploys.get(build.deploy_id)
            if deploy is not None and deploy.state == "enqueued":
                self._waiting.append(build)
                continue
            if deploy is not None and deploy.state == "ready" and not deploy.published_at:
                self._state.publish_if_due(deploy)
            elif deploy is not None and not deploy.final:
                self._state.move(deploy, "error", error="The host stopped while this was being built")
            store.save_build(replace(build, done=True))
        self._start_next()

    async def stop(self) -> None:
        """Kill running builds and wait for them; the next start marks them as failed."""
        self._stopping = True
        for job in self._running.values():
            job.cancelled.set()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._threads.shutdown()

    def add(
        self, *, branch: str, title: str, hook: Hook | None = None, body: str = "", clear_cache: bool = False
    ) -> Build:
        """Enqueue a build. Raises RefusedError (429) when too many wait already."""
        state = self._state
        if len(self._waiting) >= state.options.bounds.queue:
            raise RefusedError(429, "Too many builds are waiting")
        context = "production" if branch == state.options.production_branch else "branch-deploy"
        build_id = new_id()
        deploy = state.new_deploy(
            branch=branch,
            title=title,
            context=context,
            state="enqueued",
            source="hook" if hook else "api",
            build_id=build_id,
        )
        build = state.store.save_build(
            Build(
                schema=SCHEMA,
                id=build_id,
                deploy_id=deploy.id,
                created_at=deploy.created_at,
                hook_id=hook.id if hook else "",
                hook_title=title,
                hook_body=body,
                clear_cache=clear_cache,
            )
        )
        state.effects.record("deploy enqueued", deploy_id=deploy.id, build_id=build_id, branch=branch)
        self._waiting.append(build)
        self._start_next()
        return build

    def cancel(self, deploy: Deploy) -> Deploy:
        """Stop a build, or take it off the queue. Raises RefusedError (422) for a deploy that is done."""
        if deploy.final:
            raise RefusedError(422, f"Deploy {deploy.id} is {deploy.state} and cannot be canceled")
        changed = self._state.move(deploy, "error", error=CANCELED)
        self._waiting = [build for build in self._waiting if build.deploy_id != deploy.id]
        job = self._running.get(deploy.build_id)
        if job is not None:
            job.cancelled.set()
        elif deploy.build_id:
            self._finish(self._state.store.builds[deploy.build_id])
        return changed

    def log(self, deploy: Deploy) -> bytes:
        """Return a build's output so far."""
        job = self._running.get(deploy.build_id)
        if job is not None:
            return self._redacted(job.log.data())
        path = self._state.store.log_path(deploy.id)
        return path.read_bytes() if path.exists() else b""

    def _start_next(self) -> None:
        while not self._stopping and len(self._running) < self._state.options.builders:
            busy = {job.branch for job in self._running.values()}
            build = next((build for build in self._waiting if self._branch(build) not in busy), None)
            if build is None:
                return
            self._waiting.remove(build)
            job = _Job(build, self._branch(build), self._state.options.bounds.log)
            self._running[build.id] = job
            task = asyncio.create_task(self._run(job))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    def _branch(self, build: Build) -> str:
        return self._state.store.deploys[build.deploy_id].branch

    async def _run(self, job: _Job) -> None:
        try:
            self._set(job, "building")
            manifest = await self._build(job)
            if not (job.cancelled.is_set() or self._stopping):
                self._keep_log(job)
                self._state.complete(self._state.deploy(job.build.deploy_id), manifest)
        except (PublisherError, OSError) as error:
            self._fail(job, _explain(error))
        except Exception:  # noqa: BLE001 - logged; a build must never be left without an end
            _LOG.exception("build %s", job.build.id)
            self._fail(job, "Failed: an internal error of the host; see its log")
        finally:
            del self._running[job.build.id]
        if not self._stopping:
            self._close(job)
            self._skip_older(job.branch)
            self._start_next()

    async def _build(self, job: _Job) -> Manifest:
        """Clone, run the command, store the folder; each in a thread, with the deploy saying how far it is."""
        state = self._state
        tree = state.store.folder / "work" / job.build.id
        try:
            commit = await self._in_thread(lambda: clone_branch(state.options.repository, job.branch, tree))
            job.log.note(f"{job.branch} is {commit}")
            self._set(job, "building", commit=commit)
            settings, environment = self._prepare(job, tree, commit)
            if settings.command and not job.cancelled.is_set():
                await self._in_thread(
                    lambda: run_command(
                        settings.command,
                        tree / settings.base,
                        environment,
                        job.log,
                        seconds=state.options.build_seconds,
                        cancelled=job.cancelled,
                        confinement=self._confinement(tree, environment["HOME"]),
                    )
                )
            self._set(job, "uploading")
            return await self._in_thread(lambda: self._store(job, tree, settings))
        finally:
            await self._in_thread(lambda: shutil.rmtree(tree, ignore_errors=True))

    def _prepare(self, job: _Job, tree: Path, commit: str) -> tuple[BuildSettings, dict[str, str]]:
        state, build = self._state, job.build
        deploy, site = state.deploy(build.deploy_id), state.store.site
        cached = commit if build.clear_cache else self._cached_commit(deploy) or commit
        if build.clear_cache:
            state.store.save_site(replace(site, cache=build.id))
        home = state.store.folder / "home" / state.store.site.cache
        home.mkdir(parents=True, exist_ok=True)
        toml = tree / "netlify.toml"
        text = read_plain_file(toml, _MAX_TOML).decode("utf-8", "replace") if toml.is_file() else ""
        settings = read_settings(text, deploy.context, deploy.branch)
        hook = next((hook for hook in site.hooks if hook.id == build.hook_id), None)
        facts = BuildFacts(
            build_id=build.id,
            deploy_id=deploy.id,
            site_id=site.id,
            site_name=site.name,
            account_id=site.account_id,
            repository=state.options.shown_repository,
            branch=deploy.branch,
            commit=commit,
            cached_commit=cached,
            context=deploy.context,
            site_url=state.site_url,
            deploy_url=state.address(deploy.id),
            branch_url=state.branch_url(deploy.branch),
            home=str(home),
            hook_body=build.hook_body,
            hook_url=state.hook_url(hook) if hook else "",
            hook_title=build.hook_title,
        )
        own = site_variables(state.options.environment, site.variables, deploy.context, deploy.branch)
        return settings, build_environment(facts, own, settings.environment)

    def _confinement(self, tree: Path, home: str) -> Confinement | None:
        """Return what a build may touch; None where it is not confined."""
        options = self._state.options
        return Confinement((tree, Path(home)), tuple(options.readable)) if options.confine else None

    def _store(self, job: _Job, tree: Path, settings: BuildSettings) -> Manifest:
        folder = tree / settings.publish
        real = folder.resolve()
        if not real.is_relative_to(tree.resolve()):
            raise DeployError(f"Deploy directory '{settings.publish}' leaves the repository")
        # What the path leads to decides, not what it is called: a link to .git is .git.
        if any(part.startswith(".") for part in real.relative_to(tree.resolve()).parts):
            raise DeployError(f"Deploy directory '{settings.publish}' is hidden, and hidden folders are not published")
        if not folder.is_dir():
            raise DeployError(f"Deploy directory '{settings.publish}' does not exist")
        manifest = publish_folder(
            folder,
            self._state.store.blobs,
            self._state.options.bounds,
            headers=settings.headers,
            redirects=settings.redirects,
            detect_forms=self._state.options.forms,
            keep_going=lambda: not job.cancelled.is_set(),
        )
        for problem in manifest.problems:
            job.log.note(f"left out: {problem}")
        job.log.note(f"{len(manifest.files)} files stored")
        return manifest

    def _cached_commit(self, deploy: Deploy) -> str:
        """Return the commit last built for this branch, or else for the production branch."""
        for branch in (deploy.branch, self._state.options.production_branch):
            for older in self._state.store.newest_first(branch):
                if older.state == "ready" and older.commit:
                    return older.commit
        return ""

    def _set(self, job: _Job, state: str, **changes: str) -> None:
        if not (job.cancelled.is_set() or self._stopping):
            self._state.move(self._state.deploy(job.build.deploy_id), state, **changes)

    def _fail(self, job: _Job, message: str) -> None:
        job.log.note(message)
        error = self._redacted(message.encode()).decode()
        try:
            self._set(job, "error", error=error)
        except StorageError:
            _LOG.exception("build %s", job.build.id)
            self._state.store.remember(replace(self._state.deploy(job.build.deploy_id), state="error", error=error))

    def _close(self, job: _Job) -> None:
        """Store the log and the end of a build, unless its deploy was cancelled and deleted meanwhile."""
        if job.build.deploy_id not in self._state.store.deploys:
            return
        try:
            self._keep_log(job)
            self._finish(job.build)
        except StorageError:
            _LOG.exception("build %s", job.build.id)

    def _finish(self, build: Build) -> None:
        self._state.store.save_build(replace(build, done=True))

    def _skip_older(self, branch: str) -> None:
        waiting = [build for build in self._waiting if self._branch(build) == branch]
        for build in waiting[:-1]:
            self._waiting.remove(build)
            self._state.move(
                self._state.deploy(build.deploy_id),
                "error",
                skipped=True,
                error="Skipped: a newer build of this branch was waiting",
            )
            self._finish(build)

    def _keep_log(self, job: _Job) -> None:
        path = self._state.store.log_path(job.build.deploy_id)
        atomic_write(path, self._redacted(job.log.data()), mode=0o600)

    def _redacted(self, data: bytes) -> bytes:
        """Return output without the ids of build hooks, which a build sees in INCOMING_HOOK_URL."""
        for hook in self._state.store.site.hooks:
            data = data.replace(hook.id.encode(), b"*" * 8)
        return data

    async def _in_thread(self, work: Callable[[], Result]) -> Result:
        return await asyncio.get_running_loop().run_in_executor(self._threads, work)


def _explain(error: PublisherError | OSError) -> str:
    if isinstance(error, PublisherError):
        return "\n".join(part for part in (error.message, error.detail) if part)
    return f"Failed: {error}"
