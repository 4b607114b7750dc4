"""What a reader meets on a page: on a phone, in the dark, by keyboard, on paper, without JavaScript."""

from __future__ import annotations

import base64
import json
import re
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from tests.site_check.finding import Finding, Row

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from tests.chromium import Browser

WIDE, PHONE, NARROW, PAPER = 1280, 390, 320, 718
MOST_STOPS = 1_500
"""More than any page has: a page of 500 problems is a list of as many links."""
PROBE = """
window.seen = {shift: 0, violations: []};
new PerformanceObserver((list) => list.getEntries().forEach((one) => {
  if (!one.hadRecentInput) { window.seen.shift += one.value; }
})).observe({type: "layout-shift", buffered: true});
document.addEventListener("securitypolicyviolation", (one) => {
  window.seen.violations.push(one.effectiveDirective + " " + one.blockedURI + " " + one.sample);
});
"""
_AXE = """axe.run(document, {resultTypes: ["violations"]}).then((found) => found.violations.map((one) =>
  one.id + ": " + one.help + " (" + one.nodes.length + "), such as " + one.nodes[0].html.slice(0, 160)))"""
_STOP = """(() => {
  const one = document.activeElement;
  if (!one || one === document.body) { return null; }
  const style = getComputedStyle(one), box = one.closest(".tiles, svg.chart");
  const own = one.getBoundingClientRect(), hit = one.querySelector(".hit, .mark");
  return {
    name: one.outerHTML.slice(0, 90),
    seen: style.outlineStyle !== "none" || style.boxShadow !== "none" ||
      (hit !== null && getComputedStyle(hit).stroke !== "none"),
    there: own.width > 0 && own.height > 0 && own.right > 0,
    main: document.querySelector("main").contains(one),
    box: box ? [...document.querySelectorAll(".tiles, svg.chart")].indexOf(box) : -1,
    order: one.tabIndex,
  };
})()"""


def name_of(address: str) -> str:
    """Return a page's name for a file: its host's label and its path."""
    parts = urlsplit(address)
    label = (parts.hostname or "").partition(".")[0]
    return re.sub(r"[^a-z0-9]+", "-", f"{label}{parts.path}".lower()).strip("-")


class Looker:
    """Looks at pages with one browser and writes what it saw into a folder."""

    def __init__(self, browser: Browser, folder: Path, axe: str) -> None:
        """Prepare every page that this browser opens to count what moves and what is blocked."""
        self.browser, self.folder, self.axe = browser, folder, axe
        browser.call("Page.addScriptToEvaluateOnNewDocument", source=PROBE)

    def accessible(self, pages: Iterable[str]) -> Row:
        """Run axe on pages: light and dark, wide and on a phone."""
        row = Row("axe", "")
        count = 0
        for page in pages:
            for width in (WIDE, PHONE):
                for dark in (False, True):
                    self.browser.open(page, width=width, dark=dark)
                    self._value(self.axe + ";0")
                    how = f"{page} ({width} px, {'dark' if dark else 'light'})"
                    row.findings += [Finding(how, said) for said in self._value(_AXE)]
                    count += 1
        row.seen = f"{count} looks"
        return row

    def steady(self, pages: Iterable[str]) -> Row:
        """Look whether anything moves while a page loads, is blocked by its own policy, or is said in the console."""
        row, count = Row("layout shift, policy, console", ""), 0
        for page in pages:
            for width in (WIDE, PHONE):
                self.browser.complaints.clear()
                self.browser.open(page, width=width)
                seen = self._value("new Promise((after) => setTimeout(() => after(window.seen), 100))")
                how = f"{page} ({width} px)"
                row.findings += [Finding(how, f"the layout shifts by {seen['shift']:.4f}")] if seen["shift"] else []
                row.findings += [Finding(how, f"blocked: {said}") for said in seen["violations"]]
                row.findings += [Finding(how, said) for said in self.browser.complaints]
                count += 1
        row.seen = f"{count} looks"
        return row

    def narrow(self, pages: Iterable[str]) -> Row:
        """Look whether a page scrolls sideways at 320 pixels, on a phone, and on paper."""
        row, count = Row("no sideways scrolling (320 px, phone, paper)", ""), 0
        for page in pages:
            for width in (NARROW, PHONE, PAPER):
                self.browser.open(page, width=width)
                media = "print" if width == PAPER else ""
                self.browser.call("Emulation.setEmulatedMedia", media=media)
                found = self._value("document.documentElement.scrollWidth")
                if found > width:
                    row.findings.append(Finding(page, f"{found} pixels wide in {width}: {self._widest(width)}"))
                self.browser.call("Emulation.setEmulatedMedia", media="")
                count += 1
        row.seen = f"{count} looks"
        return row

    def _widest(self, width: int) -> str:
        """Return the elements that stick out."""
        expression = f"""[...document.querySelectorAll("body *")].filter((one) =>
            one.getBoundingClientRect().right > {width} + 1).slice(0, 3).map((one) =>
            one.localName + "." + one.getAttribute("class")).join(", ")"""
        return str(self._value(expression))

    def keyboard(self, pages: Iterable[str]) -> Row:
        """Go through each page with the tab key."""
        row, stops = Row("keyboard", ""), 0
        for page in pages:
            self.browser.open(page, width=WIDE)
            found = self._stops()
            stops += len(found)
            row.findings += [Finding(page, said) for said in _stop_faults(found)]
            row.findings += [Finding(page, said) for said in self._skipped(page)]
        row.seen = f"{stops} tab stops"
        return row

    def _stops(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        while len(found) < MOST_STOPS:
            self._press("Tab", 9)
            stop = self._value(_STOP)
            # After the last stop the browser begins again, with or without a stop at the document itself.
            if stop is None or stop in found[:1]:
                break
            found.append(stop)
        return found

    def _skipped(self, page: str) -> list[str]:
        """Return what is wrong with the link that skips the navigation."""
        self.browser.open(page, width=WIDE)
        if self._value("document.querySelector('nav') === null"):
            return []  # the card for frames has no navigation to skip
        self._press("Tab", 9)
        self._press("Enter", 13, text="\r")
        if self._value("location.hash") != "#content":
            return ["the first tab stop does not skip to the content"]
        self._press("Tab", 9)
        inside = self._value("document.querySelector('main, footer').contains(document.activeElement)")
        after = self._value("document.activeElement.closest('header.top') === null")
        return [] if inside or after else ["after the skip link the tab key is back in the navigation"]

    def _press(self, key: str, code: int, text: str = "") -> None:
        more = {"text": text} if text else {}
        kind = "keyDown" if text else "rawKeyDown"
        self.browser.call("Input.dispatchKeyEvent", type=kind, key=key, code=key, windowsVirtualKeyCode=code, **more)
        self.browser.call("Input.dispatchKeyEvent", type="keyUp", key=key, code=key, windowsVirtualKeyCode=code)

    def without_scripts(self, pages: Iterable[str]) -> Row:
        """Look whether a page says and links without JavaScript what it says and links with it."""
        row, count = Row("without JavaScript", ""), 0
        for page in pages:
            self.browser.open(page, width=WIDE)
            usual = self._value("document.querySelectorAll('main a[href]').length")
            self.browser.open(page, width=WIDE, scripts=False)
            # The debugger's own expressions still run.
            links = self._value("document.querySelectorAll('main a[href]').length")
            words = self._value("document.querySelector('main').innerText.trim().split(/\\s+/).length")
            row.findings += [Finding(page, f"{links} links, {usual} with JavaScript")] if links < usual - 2 else []
            row.findings += [Finding(page, f"{words} words")] if words < 20 and not page.endswith("404") else []
            count += 1
        row.seen = f"{count} pages"
        return row

    def pictures(self, pages: Iterable[str]) -> Row:
        """Write a picture of each page: wide, on a phone, in the dark, at 320 pixels, on paper, without JavaScript."""
        count = 0
        for page in pages:
            name = name_of(page)
            ways = (("wide", WIDE, False), ("dark", WIDE, True), ("phone", PHONE, False), ("narrow", NARROW, False))
            for how, width, dark in ways:
                self.browser.open(page, width=width, dark=dark)
                self.browser.screenshot(self.folder / f"{name}.{how}.png")
            self.browser.open(page, width=WIDE, scripts=False)
            self.browser.screenshot(self.folder / f"{name}.noscript.png")
            self.browser.open(page, width=PAPER)
            self.browser.call("Emulation.setEmulatedMedia", media="print")
            self.browser.screenshot(self.folder / f"{name}.paper.png")
            self.browser.call("Emulation.setEmulatedMedia", media="")
            paper = self.browser.call("Page.printToPDF", printBackground=False, preferCSSPageSize=True)
            (self.folder / f"{name}.pdf").write_bytes(base64.b64decode(paper["data"]))
            count += 7
        return Row("pictures to look at", f"{count} in {self.folder}")

    def _value(self, expression: str) -> Any:
        """Return what an expression comes to; an exception in the page is one here."""
        answer = self.browser.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in answer:
            raise SystemExit(f"the browser failed: {json.dumps(answer['exceptionDetails'])[:2000]}")
        return answer["result"].get("value")


def _stop_faults(stops: list[dict[str, Any]]) -> list[str]:
    """Return what is wrong with the tab stops of a page, in their order."""
    faults = [] if stops else ["nothing can be reached with the tab key"]
    if len(stops) >= MOST_STOPS:
        faults.append(f"over {MOST_STOPS} tab stops, or a trap")
    faults += [f"nothing shows the focus on {stop['name']}" for stop in stops if not stop["seen"]]
    faults += [f"the focus is out of sight on {stop['name']}" for stop in stops if not stop["there"]]
    faults += [f"a tab order of its own on {stop['name']}" for stop in stops if stop["order"] > 0]
    boxes = [stop["box"] for stop in stops if stop["box"] >= 0]
    for box in sorted({box for box in boxes if boxes.count(box) > 1}):
        names = " and ".join(stop["name"] for stop in stops if stop["box"] == box)
        faults.append(f"map or chart {box + 1} is {boxes.count(box)} tab stops: {names}")
    return faults
