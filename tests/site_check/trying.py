"""The demo's model in a browser: it loads when asked, and answers problems of its suite."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from tests.site_check.finding import Finding, Row

if TYPE_CHECKING:
    from tests.chromium import Browser

PROBLEMS = 5
_WAIT = """new Promise((done) => {{
  let left = 1200;
  const look = () => {{
    const said = document.getElementById("try-{name}").textContent;
    left -= 1;
    if (/{words}/.test(said) || !left) {{ done(said); }} else {{ setTimeout(look, 100); }}
  }};
  look();
}})"""
_CHOOSE = """(() => {{
  document.getElementById("try-grade").textContent = "";
  const one = document.getElementById("try-problem");
  one.value = "{number}";
  one.dispatchEvent(new Event("change"));
  return new Promise((after) => setTimeout(after, 500));
}})()"""


def tried(browser: Browser, page: str) -> Row:
    """Load the model on the page `page` and ask the first problems; each has to be graded, and most are right."""
    row = Row("the model in the browser", "")
    browser.complaints.clear()
    browser.open(page, width=1280)
    browser.value("document.getElementById('try-load').click()")
    said = browser.value(_WAIT.format(name="status", words="Ready|could not|cannot|not the recorded"))
    if "Ready" not in str(said):
        return Row(row.check, "it did not load", [Finding(page, str(said))])
    grades, same = [], 0
    for number in range(PROBLEMS):
        browser.value(_CHOOSE.format(number=number))
        browser.value("document.getElementById('try-ask').click()")
        grades.append(str(browser.value(_WAIT.format(name="grade", words="."))))
        same += "Word for word" in str(browser.value("document.getElementById('try-figures').textContent"))
    right = sum(one.startswith("Right") for one in grades)
    row.findings += [Finding(page, json.dumps(grades))] if right < PROBLEMS - 1 else []
    row.findings += [Finding(page, said) for said in browser.complaints]
    row.seen = f"{PROBLEMS} problems, {right} right, {same} answers as recorded word for word"
    return row
