from __future__ import annotations

import gzip
import json
import shutil
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from publisher.bench.inputs.model_file import builtin_path
from publisher.files import canonical_json, sha256_file
from publisher.graders import grade
from publisher.graders.integers import IntegerGrader
from publisher.render import build, render
from publisher.samples import pack_samples, unpack_samples
from tests.chromium import Browser
from tests.served import served
from tests.trees import snapshot_tree, source

if TYPE_CHECKING:
    from collections.abc import Iterator

IN_BROWSER = pytest.mark.skipif(
    shutil.which("chromium") is None, reason="needs chromium (tests/install-system-packages)"
)
MODEL = builtin_path("builtin:abacus@final")
ASKED = "Mia has 26 shells. She finds 27 more on the beach. How many shells has she now?"
STEPS = "{problem} Let's think step by step and output the final answer within \\boxed{}."


def own_model(tree: Path, path: Path = MODEL, name: str = "builtin:abacus@final") -> Path:
    """Make a tree the snapshot of a model file that is there, asked as the demo asks it."""
    place = tree / "ledger" / "record.json"
    record = json.loads(place.read_bytes())
    record["model"] |= {"source": name, "sha256": sha256_file(path), "size": path.stat().st_size}
    record["model"]["context_trained"] = 1024
    record["sampling"] |= {"temperature": 0.0, "top_p": 1.0, "top_k": 0, "max_tokens": 120}
    record["prompt"] |= {"system": "You are a helpful assistant.", "template": STEPS, "stop": []}
    record["suites"][0]["grader"] = "integer"
    place.write_bytes(canonical_json(record))
    samples = tree / "ledger" / "samples.jsonl.gz"
    asked = [
        msgspec.structs.replace(one, statement=ASKED, expected="53", prompt_tokens=67) if one.suite == "words" else one
        for one in unpack_samples(samples.read_bytes())
    ]
    samples.write_bytes(pack_samples(asked))
    return tree


def settings(files: dict[str, bytes]) -> dict[str, Any]:
    """Return what the page's script is told."""
    found: dict[str, Any] = json.loads(files["try/try.json"])
    return found


@pytest.fixture(name="small")
def small_fixture(tmp_path: Path) -> Path:
    """Return the tree of a snapshot whose model is the builtin one."""
    return own_model(snapshot_tree(tmp_path / "tree", runs=3, problems=8))


def test_a_small_model_is_in_the_deploy(small: Path) -> None:
    """The model's very bytes, the engine and its licence are files of the site, named by their digests."""
    files = build(source(small))
    told = settings(files)
    model = files[told["model"]["file"].removeprefix("../")]
    assert model == MODEL.read_bytes()
    assert told["model"]["sha256"][:12] in told["model"]["file"]
    assert len(files[told["runtime"].removeprefix("../")]) < 2_500_000
    assert b'href="../try/"' in files["history/index.html"]
    assert b"MIT License" in next(data for name, data in files.items() if name.endswith("licence.txt"))


def test_a_model_of_the_commit_is_taken_from_its_tree(tmp_path: Path) -> None:
    """A GGUF file that the commit holds is the one in the deploy, and a path out of the tree leads nowhere."""
    tree = snapshot_tree(tmp_path / "tree", runs=3, problems=8)
    shutil.copy(MODEL, tmp_path / "outside.gguf")
    own_model(tree, MODEL, "../outside.gguf")
    assert "try/index.html" not in build(source(tree))
    shutil.copy(MODEL, tree / "own.gguf")
    own_model(tree, MODEL, "own.gguf")
    assert settings(build(source(tree)))["model"]["file"]


def test_another_model_needs_the_switch_and_the_readers_disk(small: Path) -> None:
    """A model that the deploy cannot carry has the page only where `[site] try` says yes; `no` removes it anywhere."""
    own_model(small, MODEL, "https://example.org/large.gguf")
    assert "try/index.html" not in build(source(small))
    config = small / "publisher.toml"
    usual = config.read_bytes()
    config.write_bytes(usual + b'\n[site]\ntry = "yes"\n')
    files = build(source(small))
    assert b'type="file"' in files["try/index.html"]
    assert settings(files)["model"]["file"] == ""
    own_model(small)
    config.write_bytes(usual + b'\n[site]\ntry = "no"\n')
    assert not [name for name in build(source(small)) if "try/" in name or "wllama" in name]


def test_only_public_problems_are_offered(small: Path) -> None:
    """No statement of a private suite is in the settings, and each suite's own template comes with its problems."""
    config = small / "publisher.toml"
    told = config.read_bytes().replace(b"public = true", b'public = true\ntemplate = "Q: {problem}"')
    config.write_bytes(told)
    problems = settings(build(source(small)))["problems"]
    assert {one["statement"] for one in problems} == {ASKED}
    assert {one["template"] for one in problems} == {"Q: {problem}"}
    assert len(problems) == 8


def test_the_page_has_one_policy_of_its_own(small: Path) -> None:
    """Header and page agree, Trusted Types are left out there, and no other page may compile WebAssembly."""
    files = build(source(small))
    rules = json.loads(files["manifest.json"])["headers"]
    own = rules["/try/*"]["Content-Security-Policy"]
    assert "'wasm-unsafe-eval'" in own
    assert "require-trusted-types-for" not in own
    assert own.partition("; frame-ancestors")[0] in files["try/index.html"].decode().replace("&#39;", "'")
    assert [path for path, rule in rules.items() if "wasm" in rule.get("Content-Security-Policy", "")] == ["/try/*"]
    assert all("wasm" not in data.decode() for name, data in files.items() if name == "index.html")


@pytest.fixture(name="page", scope="module")
def page_fixture(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Return the address of the page of a snapshot of the builtin model."""
    folder = tmp_path_factory.mktemp("try")
    render(source(own_model(snapshot_tree(folder / "tree", runs=3, problems=8))), folder / "dist")
    with served(folder / "dist") as url:
        yield f"{url}try/"


def shown(browser: Browser, name: str) -> str:
    """Return what an element of the page says."""
    return str(browser.value(f"document.getElementById('try-{name}').textContent"))


def until(browser: Browser, name: str, words: str) -> str:
    """Wait until an element says something with these words, and return it; at most 100 seconds."""
    expression = f"""new Promise((done) => {{
        let left = 1000;
        const look = () => {{
            const said = document.getElementById("try-{name}").textContent;
            left -= 1;
            if (said.includes({json.dumps(words)}) || !left) {{ done(said); }} else {{ setTimeout(look, 100); }}
        }};
        look();
    }})"""
    said = str(browser.value(expression))
    assert words in said
    return said


@IN_BROWSER
@pytest.mark.browser
def test_the_builtin_model_answers_and_is_graded(browser: Browser, page: str) -> None:
    """Nothing is loaded until the reader asks; then the model answers a problem of the suite, and it is right."""
    browser.complaints.clear()
    browser.open(page, width=1280)
    loaded = "performance.getEntriesByType('resource').map((one) => one.name).join()"
    assert "wllama" not in browser.value(loaded)
    browser.value("document.getElementById('try-load').click()")
    until(browser, "status", "Ready")
    assert "wllama" in browser.value(loaded)
    choose = (
        "const one = document.getElementById('try-problem'); one.value = '0'; one.dispatchEvent(new Event('change'))"
    )
    browser.value(f"(() => {{ {choose} }})()")
    browser.value("new Promise((after) => setTimeout(after, 300))")
    assert browser.value("document.getElementById('try-prompt').value") == ASKED
    browser.value("document.getElementById('try-ask').click()")
    assert until(browser, "grade", ":") == "Right: 53"
    assert "\\boxed{53}" in shown(browser, "answer")
    assert "the prompt has 67 tokens" in shown(browser, "figures")
    assert browser.complaints == []


@IN_BROWSER
@pytest.mark.browser
def test_a_model_of_other_bytes_is_not_run(browser: Browser, small: Path, tmp_path: Path) -> None:
    """A file whose SHA-256 is not the record's is named and never reaches the engine."""
    render(source(small), tmp_path / "dist")
    model = next((tmp_path / "dist" / "assets").glob("model.*"))
    model.write_bytes(model.read_bytes()[:-1] + b"!")
    with served(tmp_path / "dist") as url:
        browser.open(f"{url}try/", width=390)
        browser.value("document.getElementById('try-load').click()")
        assert "not the recorded model" in until(browser, "status", "SHA-256 is")
        assert "wllama" not in browser.value("performance.getEntriesByType('resource').map((one) => one.name).join()")
        assert not browser.value("document.getElementById('try-load').disabled")


@IN_BROWSER
@pytest.mark.browser
def test_a_damaged_runtime_is_told_at_once(browser: Browser, small: Path, tmp_path: Path) -> None:
    """A program that cannot be compiled is named; its worker would say nothing, and the page would wait."""
    render(source(small), tmp_path / "dist")
    told = json.loads((tmp_path / "dist/try/try.json").read_bytes())
    runtime = tmp_path / "dist/try" / told["runtime"]
    whole = gzip.decompress(runtime.read_bytes())
    runtime.write_bytes(gzip.compress(whole[: len(whole) // 2]))
    with served(tmp_path / "dist") as url:
        browser.open(f"{url}try/", width=390)
        started = time.monotonic()
        browser.value("document.getElementById('try-load').click()")
        until(browser, "status", runtime.name)
        assert time.monotonic() - started < 20
        assert not browser.value("document.getElementById('try-load').disabled")


@IN_BROWSER
@pytest.mark.browser
def test_settings_that_cannot_be_loaded_are_told_wherever_they_are_asked_for(
    browser: Browser, small: Path, tmp_path: Path
) -> None:
    """Choosing a problem says why nothing was chosen, and so does loading the model, with the file and the code."""
    render(source(small), tmp_path / "dist")
    (tmp_path / "dist/try/try.json").unlink()
    choose = (
        "const one = document.getElementById('try-problem'); one.value = '0'; one.dispatchEvent(new Event('change'))"
    )
    with served(tmp_path / "dist") as url:
        for act in (choose, "document.getElementById('try-load').click()"):
            browser.open(f"{url}try/", width=390)
            browser.complaints.clear()
            browser.value(f"(() => {{ {act} }})()")
            until(browser, "status", "try.json: 404")
            assert not [one for one in browser.complaints if "exceptionThrown" in one]


@IN_BROWSER
@pytest.mark.browser
def test_a_browser_that_cannot_run_it_is_told(browser: Browser, page: str) -> None:
    """Without 64-bit memory the page names what is missing; without JavaScript it says so and shows no controls."""
    old = browser.call(
        "Page.addScriptToEvaluateOnNewDocument",
        source="WebAssembly.Memory = function () { throw new TypeError('no i64'); };",
    )
    browser.open(page, width=390)
    assert "64-bit memory" in shown(browser, "status")
    assert browser.value("document.getElementById('try-load').disabled")
    browser.call("Page.removeScriptToEvaluateOnNewDocument", identifier=old["identifier"])
    browser.open(page, width=390, scripts=False)
    assert "needs JavaScript" in browser.value("document.querySelector('noscript').innerText")
    assert browser.value("document.querySelector('.try').hidden")


TEXTS = (
    r"\boxed{53}",
    r"so \boxed{ 53 } \boxed{}",
    r"\boxed{52} then \boxed{53",
    r"\boxed 53.",
    r"\fbox{-7} <|im_end|> \boxed{53}",
    r"<think>\boxed{53}",
    r"<think>\boxed{1}</think> \boxed{53}",
    r"\boxed{\text{53}}",
    r"\boxed{1,053}",
    r"\boxed{a \} b}",
    r"\boxedx{53}",
    r"\boxed{053}",
    r"\boxed{-53}",
    "no box 53",
    "",
    "\\boxed\u00a0{53}\\boxed{\u2003}",
    "\\boxed \u0665\u0663",
    r"\boxed{12345678901234567890123}",
)


@IN_BROWSER
@pytest.mark.browser
def test_the_page_grades_as_the_grader_does(browser: Browser, page: str) -> None:
    """Whatever the page calls right, wrong, unanswered or truncated is that for the grader; the rest it leaves open."""
    browser.open(page, width=1280)
    grader = IntegerGrader()
    decided = 0
    for text in TEXTS:
        for expected in ("53", "-7", "12345678901234567890123", "0"):
            for finish in ("stop", "length"):
                call = f"gradeAnswer({json.dumps(text)}, {json.dumps(finish)}, {json.dumps(expected)}).word"
                said = browser.value(call)
                if said != "ungraded":
                    assert said == grade(grader, text, expected, finish).outcome, (text, expected)
                    decided += 1
    assert decided > 100
