"""Serving deploys to visitors."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import FileResponse, PlainTextResponse, Response

from publisher.host.http.forms import receive
from publisher.host.rules.content_types import content_type
from publisher.host.rules.matching import Answer, headers_for, resolve
from publisher.host.store import splits
from publisher.host.store.state import RefusedError

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

    from publisher.host.store.records import Deploy, Entry
    from publisher.host.store.state import State

_CACHE_CONTROL = "public, max-age=0, must-revalidate"
_IN_MEMORY = 1024 * 1024
"""Files up to this size are read at once; larger ones are sent in pieces."""
_YEAR = 365 * 86_400
_THANKS = "Thank you!\n\nYour form submission has been received.\n"
_NO_DEPLOY = "Not Found\n\nNothing is deployed at this address.\n"
_PRIVATE = "This site is private. Sign in to Netlify, or make it public in its access settings.\n"


class Content:
    """An ASGI application that serves `<label>.localhost`."""

    def __init__(self, state: State) -> None:
        """Serve what `state` has."""
        self._state = state

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        response = await self._answer(Request(scope, receive))
        await response(scope, receive, send)

    async def _answer(self, request: Request) -> Response:
        label = request.headers.get("host", "").lower().partition(".localhost")[0]
        if self._hidden(label):
            return PlainTextResponse(_PRIVATE, 401)
        deploy, cookie = self._shown(label, request)
        if deploy is None:
            return PlainTextResponse(_NO_DEPLOY, 404)
        if request.method == "POST":
            try:
                await receive(self._state, request)
            except RefusedError as error:
                return PlainTextResponse(f"{error.message}\n", error.status)
            response = await self._serve(request, deploy, noindex=True)
            if response.status_code == 404:
                response = PlainTextResponse(_THANKS)
        elif request.method not in {"GET", "HEAD"}:
            return PlainTextResponse("Method Not Allowed\n", 405, {"allow": "GET, HEAD, POST"})
        else:
            response = await self._serve(request, deploy, noindex=not self._is_front(label, deploy))
        if cookie:
            response.headers["set-cookie"] = f"{splits.COOKIE}={cookie}; Path=/; Max-Age={_YEAR}; SameSite=Lax"
        return response

    def _shown(self, label: str, request: Request) -> tuple[Deploy | None, str]:
        """Return the deploy that a reader sees and the cookie that keeps them there; empty outside of a split test."""
        split = splits.active(self._state) if label == self._state.options.site else None
        if split is None:
            return self._state.serving(label), ""
        return splits.assign(self._state, split, request.cookies.get(splits.COOKIE, ""))

    def _hidden(self, label: str) -> bool:
        private = self._state.private
        return private == "all" or (private == "previews" and label != self._state.options.site)

    def _is_front(self, label: str, deploy: Deploy) -> bool:
        """Return whether a search engine may list this: only the published deploy and the newest of each branch."""
        published = deploy.id == self._state.store.site.published
        return published or (deploy.context == "branch-deploy" and not label.startswith(deploy.id))

    async def _serve(self, request: Request, deploy: Deploy, *, noindex: bool) -> Response:
        path = str(request.scope["path"])
        store = self._state.store
        manifest = store.manifest_in_memory(deploy.id)
        if manifest is None:
            manifest = await run_in_threadpool(store.manifest, deploy.id)
        answer = resolve(manifest, path, request.scope["query_string"].decode("latin-1"))
        headers = {"x-robots-tag": "noindex"} if noindex else {}
        if answer.location:
            return Response(status_code=answer.status, headers={**headers, "location": answer.location})
        if answer.entry is None:
            return PlainTextResponse(answer.note or "Not Found\n", answer.status, headers)
        headers |= {"cache-control": _CACHE_CONTROL, "content-type": content_type(answer.name)}
        # A site's own values are sent as UTF-8, which the framework has to be told in its encoding.
        headers |= {
            name: value.encode().decode("latin-1") for name, value in headers_for(manifest.headers, path).items()
        }
        headers["etag"] = f'"{answer.entry.sha256}"'
        if answer.status == 200 and _is_known(request, answer.entry):
            headers.pop("content-type")
            return Response(status_code=304, headers=headers)
        return await self._file(request, answer, answer.entry, headers)

    async def _file(self, request: Request, answer: Answer, entry: Entry, headers: dict[str, str]) -> Response:
        path = self._state.store.blobs.path(entry.sha256)
        if entry.size > _IN_MEMORY:
            return FileResponse(path, answer.status, headers)
        if request.method == "HEAD":
            return Response(status_code=answer.status, headers={**headers, "content-length": str(entry.size)})
        return Response(await run_in_threadpool(path.read_bytes), answer.status, headers)


def _is_known(request: Request, entry: Entry) -> bool:
    tags = [tag.strip().removeprefix("W/") for tag in request.headers.get("if-none-match", "").split(",")]
    return "*" in tags or f'"{entry.sha256}"' in tags
