"""The folder of `stepdown export --format web` in a real browser: what a person sees, and what the page needs."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import tiny_bundle
from browser import Browser, find
from websites import offered, website

from stepdown import Classifier
from stepdown.runtime import bundle

PROGRAM = find()
if PROGRAM is None:
    pytest.skip("needs a Chromium on the PATH", allow_module_level=True)

DOCS = Path(__file__).parent.parent / "docs"
EVIL = "<img src=x onerror=alert(1)>"
CARD = f"# The \\*card\\* {EVIL}\n\nIt is **good**, [a link](javascript:alert(1)).\n"
TAB, ENTER = ("Tab", 9), ("Enter", 13)
# Below a folder with a name, as on servers that many share.
UNDER = "a folder/site"


@pytest.fixture(scope="module")
def sites(tmp_path_factory: pytest.TempPathFactory, own_environment: Mapping[str, str]) -> Path:
    """What a server offers: the folder of a bundle with a hostile label and card, under a path."""
    place = tmp_path_factory.mktemp("sites")
    files = tiny_bundle.contents(place) | {"README.md": f'---\nlicense: "mit"\n---\n\n{CARD}'.encode()}
    bundle.write(place / "tiny", tiny_bundle.about((f"bad {EVIL}", "neutral", "positive")), files)
    website(place / "tiny", place / UNDER, own_environment)
    return place


@pytest.fixture(scope="module")
def url(sites: Path) -> Iterator[str]:
    with offered(sites) as url:
        yield url


def faults(page: Browser) -> list[dict[str, Any]]:
    wrong = (
        "Log.entryAdded",
        "Runtime.exceptionThrown",
        "Runtime.consoleAPICalled",
        "Page.javascriptDialogOpening",
    )
    return page.told(lambda event: event.get("method") in wrong)


def asked_for(page: Browser) -> list[str]:
    requests = page.told(lambda event: event.get("method") == "Network.requestWillBeSent")
    return [event["params"]["request"]["url"] for event in requests]


@pytest.fixture
def page(browser: Browser, url: str) -> Iterator[Browser]:
    browser.events.clear()
    browser.size(1000, 800)
    browser.open(f"{url}/{UNDER}/")
    browser.until("model && document.activeElement.id === 'text'")
    yield browser
    assert faults(browser) == []
    assert all(one.startswith((url, "data:")) for one in asked_for(browser))
    assert browser.value("document.images.length + document.scripts.length") == 1, "the page's own script"


def text_of(page: Browser, selector: str) -> str:
    return str(page.value(f"document.querySelector({selector!r}).innerText"))


def test_it_answers_as_one_types_and_nothing_leaves_the_tab(page: Browser, sites: Path) -> None:
    assert page.value("document.title") == f"The *card* {EVIL} · stepdown"
    assert text_of(page, "h1") == f"The *card* {EVIL}"
    before = asked_for(page)
    page.write("good movie")
    page.until("document.querySelector('#why').textContent === 'good movie'")
    (said,) = Classifier.load(sites / "tiny").predict(["good movie"])
    assert text_of(page, "#label") == said
    assert "Read in" in text_of(page, "#facts")
    assert "log-odds" in text_of(page, "#why-help")
    page.write(f" bad bad 😂 {EVIL}")
    page.until(f"document.querySelector('#why').textContent === {'good movie bad bad 😂 ' + EVIL!r}")
    assert EVIL in text_of(page, "#scores"), "a label's name is text"
    assert page.value("[...document.querySelectorAll('#why mark')].length") > 0
    assert asked_for(page) == before
    assert page.value(
        "performance.getEntriesByType('resource').every((one) => one.name.startsWith(location.origin))"
    )


def test_answers_can_be_held_back_below_a_score(page: Browser) -> None:
    page.write("good movie")
    page.until("document.querySelector('#score').textContent")
    score = text_of(page, "#score")
    page.press(*TAB)
    page.write("99.9")
    page.until("document.querySelector('#label').textContent === 'No label'")
    assert text_of(page, "#score") == f"the highest score is {score}"


def test_any_label_can_be_explained(page: Browser) -> None:
    page.write("good bad")
    page.until("document.querySelector('#why-help').textContent")
    page.value("$('why-label').value = 'neutral'; $('why-label').dispatchEvent(new Event('change'))")
    page.until("document.querySelector('#why-help').textContent.includes(' neutral: ')")


def test_many_texts_become_a_table_with_the_keyboard_alone(page: Browser, sites: Path) -> None:
    for field in ("below", "lines"):
        page.press(*TAB)
        assert page.value("document.activeElement.id") == field
    texts = [f"good {number} bad {'!' * (number % 5)}" for number in range(250)]
    page.write("\n".join([*texts, "", f"not {EVIL}"]))
    page.press(*TAB)
    assert page.value("document.activeElement.id") == "go"
    page.press(*ENTER)
    page.until("document.querySelector('#progress').textContent.startsWith('251 texts, ')")
    cells = page.value(
        "[...document.querySelectorAll('tbody tr')].map((row) => [...row.cells].map((c) => c.textContent))"
    )
    assert [cell[0] for cell in cells] == [*texts, f"not {EVIL}"]
    assert [cell[1] for cell in cells] == Classifier.load(sites / "tiny").predict([*texts, f"not {EVIL}"])
    page.press(*TAB)
    assert page.value("document.activeElement.id") == "save"


def test_the_card_is_shown_as_text(page: Browser) -> None:
    page.value("document.querySelector('details').open = true")
    assert text_of(page, "#card").startswith(f"The *card* {EVIL}"), "what opens it for a hub is left out"
    assert "It is good, [a link](javascript:alert(1))" in text_of(page, "#card")


def test_what_is_asked_no_more_is_not_waited_for(page: Browser) -> None:
    page.value(
        """(() => {
          const control = new AbortController();
          const texts = Array.from({ length: 50000 }, (_, index) => "good ".repeat(1 + index % 16));
          window.long = ask("predict", { texts }, control.signal).catch((error) => "gone");
          control.abort();
          window.short = ask("predict", { texts: ["good"] });
        })()"""
    )
    assert page.value("window.long") == "gone"
    assert page.value("window.short.then(({ said }) => said.predictions[0].text)") == "good"


def test_a_text_that_is_too_long_is_told(page: Browser) -> None:
    page.value(f"$('text').value = {'a' * 100_001!r}; $('text').dispatchEvent(new Event('input'))")
    page.until("!document.querySelector('#problem').hidden")
    told = "A text may have 100,000 characters; one has 100,001. Cut it, or split it."
    assert text_of(page, "#problem") == told
    page.value("$('text').value = 'good'; $('text').dispatchEvent(new Event('input'))")
    page.until("document.querySelector('#problem').hidden && !document.querySelector('#answer').hidden")


def test_a_line_that_is_too_long_is_named(page: Browser) -> None:
    page.value("$('lines').value = 'good\\n'.repeat(1203) + 'a'.repeat(100001); $('go').focus()")
    page.press(*ENTER)
    page.until("!document.querySelector('#many-problem').hidden")
    told = "A text may have 100,000 characters; line 1,204 has 100,001. Cut it, or split it."
    assert text_of(page, "#many-problem") == told
    assert page.value("document.activeElement.id") == "go"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_fits_a_phone_by_day_and_by_night(page: Browser, scheme: str) -> None:
    page.size(375, 812, phone=True)
    page.scheme(scheme)
    page.value("document.querySelector('#text').focus()")
    page.write("word " + "x" * 300)
    page.value("document.querySelector('#lines').focus()")
    page.write("y" * 300 + "\ngood movie")
    page.press(*ENTER, 2)
    page.until("document.querySelector('#progress').textContent.startsWith('2 texts')")
    page.until("document.querySelector('#why').textContent.length === 305")
    page.value("document.querySelector('details').open = true")
    assert page.value("document.documentElement.scrollWidth") == 375


@pytest.mark.parametrize("document", ["README.md", DOCS / "web.md"])
def test_another_page_can_ask_the_model(
    document: str | Path, browser: Browser, sites: Path, url: str
) -> None:
    text = (sites / UNDER / document).read_text(encoding="utf-8")
    (shown,) = re.findall("```html\n(.*?)```", text, re.DOTALL)
    assert shown.count("console.log(") == 1
    page = "<!doctype html><title>own</title>" + shown.replace("console.log(", "window.told = Array.of(")
    (sites / UNDER / "own.html").write_text(page, encoding="utf-8")
    browser.open(f"{url}/{UNDER}/own.html")
    browser.until("window.told")
    assert "neutral" in json.dumps(browser.value("window.told"))
    (sites / UNDER / "own.html").unlink()


# --- what may be wrong with the folder, or with where it is ---------------------------------------------------------


def test_opened_as_a_file_it_says_what_to_do(browser: Browser, sites: Path) -> None:
    browser.events.clear()
    browser.open((sites / UNDER / "index.html").as_uri())
    browser.until("!document.querySelector('#problem').hidden")
    assert "python3 -m http.server" in text_of(browser, "#problem")
    assert text_of(browser, "#about") == ""
    assert faults(browser) == []


def changed(name: str, change: Callable[[bytes], bytes | None]) -> Callable[[Path], None]:
    def apply(folder: Path) -> None:
        content = change((folder / name).read_bytes())
        (folder / name).unlink()
        if content is not None:
            (folder / name).write_bytes(content)

    return apply


def resaid(**keys: Any) -> Callable[[Path], None]:
    """A bundle.json that says something else, with the right digest."""

    def apply(folder: Path) -> None:
        path = folder / "bundle" / "bundle.json"
        said = json.loads(path.read_bytes()) | keys | {"digest": "0" * 64}
        content = json.dumps(said, indent=2).encode()
        digest = hashlib.sha256(content).hexdigest()
        path.write_bytes(content.replace(b"0" * 64, digest.encode(), 1))

    return apply


DAMAGE = {
    "no engine": (changed("engine/worker.js", lambda _: None), "could not be loaded"),
    "no module": (changed("engine/words.js", lambda _: None), "could not be loaded"),
    "no network": (changed("bundle/model.onnx", lambda _: None), "the server answered 404"),
    "no runtime": (changed("onnxruntime-web/ort-wasm-simd-threaded.wasm", lambda _: None), "cannot be run"),
    "one bit": (changed("bundle/model.onnx", lambda one: one[:-1] + bytes([one[-1] ^ 1])), "is damaged"),
    "cut short": (changed("bundle/words.json", lambda one: one[:-1]), "bytes, but bundle.json says"),
    "changed": (changed("bundle/bundle.json", lambda one: one.replace(b"2.0", b"2.5")), "was changed after"),
    "no JSON": (changed("bundle/bundle.json", lambda one: one[:-9]), "is not JSON"),
    "no UTF-8": (changed("bundle/bundle.json", lambda one: one + b"\xff"), "is not UTF-8"),
    "version": (resaid(version=2), "reads version 1"),
    "kind": (resaid(tokenizer={"kind": "huggingface", "files": ["words.json"]}), "there are words, bert-wordpiece"),
    "task": (resaid(task={"kind": "ranking", "label_names": ["a", "b"]}), '"kind" is "ranking"'),
    "labels": (resaid(task={"kind": "single-label", "label_names": ["a", "a"]}), "different texts"),
    "outputs": (resaid(task={"kind": "single-label", "label_names": ["a", "b"]}), "expected finite ones of shape 2,2"),
    "length": (resaid(max_length=0), "a whole number from 1"),
    "calibration": (resaid(calibration={"temperature": 0}), "a number from 0.001 to 1000"),
    "nothing": (resaid(weights=None), "must hold a JSON object"),
}  # fmt: skip


@pytest.mark.parametrize("name", DAMAGE)
def test_a_folder_that_is_not_whole_is_told(
    name: str, browser: Browser, sites: Path, url: str, tmp_path: Path
) -> None:
    damage, told = DAMAGE[name]
    place = sites / name.replace(" ", "-")
    shutil.copytree(sites / UNDER, place)
    damage(place)
    browser.open(f"{url}/{place.name}/index.html")
    browser.until("!document.querySelector('#problem').hidden")
    assert told in text_of(browser, "#problem")
    browser.write("good")  # and it is told still when one types
    browser.value("new Promise((resolve) => setTimeout(resolve, 300))")
    assert told in text_of(browser, "#problem")
    assert browser.value("document.querySelector('#answer').hidden")
    shutil.rmtree(place)


def test_without_means_for_checksums_it_does_without(browser: Browser, url: str) -> None:
    """Browsers have none for pages that come over plain http from other machines."""
    browser.open(f"{url}/{UNDER}/README.md")
    said = browser.value(
        f"""(async () => {{
          Object.defineProperty(Object.getPrototypeOf(crypto), "subtle", {{ value: undefined }});
          const {{ Classifier }} = await import("/{UNDER}/engine/classifier.js");
          return (await (await Classifier.load()).answers(["good"]))[0].label;
        }})()"""
    )
    assert said in (f"bad {EVIL}", "neutral", "positive")
