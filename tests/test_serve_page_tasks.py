"""The page of `stepdown serve` in a real browser, for models that say several labels, or a number, and of pairs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any, NamedTuple

import pytest
import tiny_bundle
from browser import Browser, find
from serving import served

from stepdown.runtime import About, Classifier, bundle

pytest.importorskip("fastapi", reason="needs the extra serve")
pytest.importorskip("uvicorn", reason="needs the extra serve")
pytest.importorskip("prometheus_client", reason="needs the extra serve")
PROGRAM = find()
if PROGRAM is None:
    pytest.skip("needs a Chromium on the PATH", allow_module_level=True)

EVIL = "<img src=x onerror=alert(1)>"
LABELS = ("praise", f"a;b {EVIL}", "question", "thanks", "one", "two", "three")
THRESHOLDS = (0.2, 0.9, 0.4, 0.5, 0.3, 0.3, 0.3)
KINDS = {
    "several": tiny_bundle.about(LABELS, task="multi-label", thresholds=THRESHOLDS),
    "none": tiny_bundle.about(LABELS, task="multi-label", thresholds=(1.0,) * 7),
    "number": tiny_bundle.about(("stars",), task="regression"),
    "pair": tiny_bundle.about(is_pair=True),
    "number-pair": tiny_bundle.about(("x" * 60,), task="regression", is_pair=True),
}
TAB, ENTER, DOWN = ("Tab", 9), ("Enter", 13), ("ArrowDown", 40)
TEXT = "good movie not bad"


class Kind(NamedTuple):
    """The page of a served model of one kind, and the model."""

    page: Browser
    classifier: Classifier


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], Kind]]:
    """Opens the page of a kind of model, served as it is first asked for."""
    folder = tmp_path_factory.mktemp("page-tasks")
    assert PROGRAM is not None
    urls: dict[str, str] = {}
    with ExitStack() as stack:
        page = stack.enter_context(Browser(PROGRAM, tmp_path_factory.mktemp("browser")))

        def serve(name: str, about: About) -> str:
            files = tiny_bundle.bundle_of(folder, about).files
            bundle.write(folder / name, about, files)
            return stack.enter_context(served(folder / name, "--port", "0")).url

        def open_kind(name: str) -> Kind:
            urls[name] = urls.get(name) or serve(name, KINDS[name])
            page.events.clear()
            page.size(1000, 800)
            page.open(urls[name])
            page.until("model && document.activeElement.id === 'text'")
            return Kind(page, Classifier.load(folder / name))

        yield open_kind
        wrong = ("Log.entryAdded", "Runtime.exceptionThrown", "Page.javascriptDialogOpening")
        assert page.told(lambda event: event.get("method") in wrong) == []


def texts_of(page: Browser, selector: str) -> list[str]:
    found: list[str] = page.value(
        f"[...document.querySelectorAll({selector!r})].map((one) => one.textContent)"
    )
    return found


def text_of(page: Browser, selector: str) -> str:
    (found,) = texts_of(page, selector)
    return found


def focus(page: Browser) -> str:
    return str(page.value("document.activeElement.id"))


def saved(page: Browser) -> list[str]:
    """The lines of the CSV, saved with the keyboard from the button before it."""
    page.press(*TAB)
    if focus(page) == "go":
        page.press(*TAB)
    assert focus(page) == "save"
    page.value(
        "URL.createObjectURL = (blob) => { window.saved = blob.text(); return '#'; };"
        "HTMLAnchorElement.prototype.click = () => {}"
    )
    page.press(*ENTER)
    content: str = page.value("window.saved")
    return content.splitlines()


def predict_lines(page: Browser, content: str) -> None:
    page.value("document.querySelector('#lines').focus()")
    page.write(content)
    page.press(*ENTER, 2)


def test_labels_that_apply_are_marked_and_thresholds_shown(opened: Callable[[str], Kind]) -> None:
    kind = opened("several")
    page, classifier = kind.page, kind.classifier
    assert text_of(page, "#about").startswith("Any of 7 labels (praise, ")
    page.write(TEXT)
    page.until("document.querySelector('#why').textContent")
    (own,) = classifier.predict([TEXT])
    assert isinstance(own, list)
    assert 1 < len(own) < 7
    assert text_of(page, "#label") == ", ".join(own)
    assert texts_of(page, "#scores .applies .name") == [f"✓ {name}" for name in own]
    rows = texts_of(page, "#scores li")
    assert len(rows) >= 5
    for row in rows:
        (index,) = (at for at, name in enumerate(LABELS) if row.removeprefix("✓ ").startswith(name))
        assert row.endswith(f"from {THRESHOLDS[index] * 100:.1f}%")
        assert ("does not apply" in row) == (LABELS[index] not in own)
    at = "document.querySelector('.track b').getBoundingClientRect()"
    track = "document.querySelector('.track').getBoundingClientRect()"
    (first,) = (LABELS.index(name) for name in LABELS if rows[0].removeprefix("✓ ").startswith(name))
    place = page.value(f"({at}.left + 1 - {track}.left) / {track}.width")
    assert place == pytest.approx(THRESHOLDS[first], abs=0.01)


def test_any_label_can_be_explained_with_the_keyboard(opened: Callable[[str], Kind]) -> None:
    page = opened("several").page
    page.write(TEXT)
    page.until("document.querySelector('#why-help').textContent")
    before = text_of(page, "#why-help")
    for field in ("below", "why-label"):
        page.press(*TAB)
        assert focus(page) == field
    page.press(*DOWN)
    page.press(*DOWN)
    page.until("document.querySelector('#why-label').value === model.labels[1]")
    page.until(f"document.querySelector('#why-help').textContent !== {before!r}")
    help = text_of(page, "#why-help")
    assert f" {LABELS[1]}: " in help, "a label's name is text"


def test_that_no_label_applies_is_said(opened: Callable[[str], Kind]) -> None:
    page = opened("none").page
    page.write(TEXT)
    page.until("!document.querySelector('#answer').hidden")
    assert text_of(page, "#label") == "No label applies"
    assert len(texts_of(page, "#scores li")) == 5
    assert texts_of(page, "#scores .applies") == []
    predict_lines(page, "good\nbad")
    page.until("!document.querySelector('#save').hidden")
    assert text_of(page, "#progress").endswith(" each: none 2.")
    assert texts_of(page, "tbody tr:first-child td") == ["good", "none"]
    assert saved(page) == ['"text","labels"', '"good",""', '"bad",""']


def test_many_texts_with_several_labels_are_saved_as_predict_saves_them(
    opened: Callable[[str], Kind],
) -> None:
    kind = opened("several")
    page = kind.page
    lines = [TEXT, "bad", "the a", "n't do"]
    sets: Any = kind.classifier.predict(lines)
    predict_lines(page, "\n".join(lines))
    page.until("!document.querySelector('#save').hidden")
    assert texts_of(page, "thead th") == ["Text", "Labels"]
    assert texts_of(page, "tbody td:nth-child(2)") == [", ".join(own) for own in sets]
    assert page.value(f"quoted({LABELS[1]!r})") == f'"{LABELS[1]}"'
    cells = [";".join(f'""{name}""' if ";" in name else name for name in own) for own in sets]
    assert saved(page)[1:] == [f'"{line}","{cell}"' for line, cell in zip(lines, cells, strict=True)]


def test_a_number_is_shown_as_such(opened: Callable[[str], Kind]) -> None:
    kind = opened("number")
    page = kind.page
    assert text_of(page, "#about").startswith("A number, stars, for a text.")
    page.write(TEXT)
    page.until("document.querySelector('#why').textContent")
    (value,) = kind.classifier.predict([TEXT])
    assert float(text_of(page, "#label").replace("−", "-")) == pytest.approx(value, rel=1e-5)
    assert text_of(page, "#score") == "stars"
    assert page.value(
        "document.querySelector('#scores').hidden && document.querySelector('#why-choice').hidden"
    )
    assert "by how much stars falls when" in text_of(page, "#why-help")
    assert len(texts_of(page, "#why mark")) > 0
    lines = ["good", "bad", "movie"]
    predict_lines(page, "\n".join(lines))
    page.until("!document.querySelector('#save').hidden")
    values = kind.classifier.predict(lines)
    assert texts_of(page, "thead th") == ["Text", "stars"]
    assert saved(page) == ['"text","value"', *(f'"{a}","{b}"' for a, b in zip(lines, values, strict=True))]
    assert " in the mean." in text_of(page, "#progress")


def test_labels_that_are_numbers_stay_in_the_order_of_their_scores(opened: Callable[[str], Kind]) -> None:
    page = opened("number").page
    scores = "{ 7: 0.5, 1: 0.3, b: 0.1, 2: 0.06, 0: 0.03, 3: 0.01 }"
    shown = page.value(f"told({{ text: 'x', label: '7', score: 0.5, scores: {scores} }}).bars")
    assert [bar["name"] for bar in shown] == ["7", "1", "b", "2", "0"]
    shown = page.value(f"told({{ text: 'x', labels: ['3'], scores: {scores} }}).bars")
    assert [bar["name"] for bar in shown] == ["7", "1", "b", "2", "0", "3"], "all that apply are shown"


def test_numbers_are_told_in_any_unit(opened: Callable[[str], Kind]) -> None:
    page = opened("number").page
    for given, shown in (
        ("1990.1234567", "1990.12"),
        ("-0.0000012345", "−0.0000012345"),
        ("0", "0"),
        ("3e-9", "3e−9"),
    ):
        assert page.value(f"digits({given})") == shown


def test_a_pair_has_two_fields_and_words_in_each(opened: Callable[[str], Kind]) -> None:
    kind = opened("pair")
    page = kind.page
    assert text_of(page, "#about").startswith(
        "One of 3 labels (negative, neutral, positive) for a pair of texts."
    )
    assert focus(page) == "text"
    page.write("good movie")
    page.value("new Promise((resolve) => setTimeout(resolve, 300))")
    asked = page.told(lambda event: "predict" in str(event.get("params", {}).get("request", {}).get("url")))
    assert (asked, page.value("document.querySelector('#answer').hidden")) == ([], True)
    page.press(*TAB)
    assert focus(page) == "text2"
    page.write("not bad 😂 at all")
    page.until("document.querySelector('#why').textContent")
    assert [text_of(page, "#label")] == kind.classifier.predict([("good movie", "not bad 😂 at all")])
    assert texts_of(page, "#why h4") == ["First text", "Second text"]
    assert texts_of(page, "#why div") == ["good movie", "not bad 😂 at all"]
    assert len(texts_of(page, "#why mark")) > 0
    page.value("$('text').value = ' '; $('text').dispatchEvent(new Event('input'))")
    page.until("document.querySelector('#answer').hidden")


def test_many_pairs_have_a_tab_between_the_two(opened: Callable[[str], Kind]) -> None:
    kind = opened("pair")
    page = kind.page
    predict_lines(page, "good\tbad\n\nno tab here")
    page.until("!document.querySelector('#many-problem').hidden")
    told = "Line 3 has no tab. Expected two texts with one tab between them."
    assert text_of(page, "#many-problem") == told
    page.value("document.querySelector('#lines').select()")
    predict_lines(page, "good\tbad\t\n")
    page.until("document.querySelector('#many-problem').textContent.startsWith('Line 1 has 2 tabs.')")
    page.value("document.querySelector('#lines').select()")
    predict_lines(page, "good\tbad\nbad\t" + "a" * 100_001)
    told = "A text may have 100,000 characters; line 2 has one of 100,001. Cut it, or split it."
    page.until(f"document.querySelector('#many-problem').textContent === {told!r}")
    page.value("document.querySelector('#lines').select()")
    predict_lines(page, "good\tbad\n\n movie\tthe a\n")
    page.until("!document.querySelector('#save').hidden")
    assert page.value("document.querySelector('#many-problem').hidden")
    assert text_of(page, "#progress").startswith("2 pairs, ")
    assert texts_of(page, "tbody td div") == ["good", "bad", " movie", "the a"]
    labels = kind.classifier.predict([("good", "bad"), (" movie", "the a")])
    assert texts_of(page, "tbody td:nth-child(2)") == labels
    lines = saved(page)
    assert lines[0] == '"text1","text2","label","score"'
    assert lines[2].startswith(f'" movie","the a","{labels[1]}","0.')


@pytest.mark.parametrize("name", ["several", "number-pair"])
def test_every_kind_fits_a_phone(name: str, opened: Callable[[str], Kind]) -> None:
    page = opened(name).page
    page.size(375, 812, phone=True)
    page.write("word " + "x" * 300)
    if name == "number-pair":
        page.press(*TAB)
        page.write("y" * 300)
    page.until("document.querySelector('#why').textContent")
    line = "\t".join(["y" * 300, "good"]) if name == "number-pair" else "z" * 300
    predict_lines(page, line)
    page.until("!document.querySelector('#save').hidden")
    assert page.value("document.documentElement.scrollWidth") == 375
