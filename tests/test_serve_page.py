"""The page of `stepdown serve` in a real browser: what a person sees, with whatever texts and labels hold."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import tiny_bundle
from browser import Browser, find
from serving import Served, served

from stepdown.report.markdown import table
from stepdown.runtime import bundle

pytest.importorskip("fastapi", reason="needs the extra serve")
pytest.importorskip("uvicorn", reason="needs the extra serve")
pytest.importorskip("prometheus_client", reason="needs the extra serve")
PROGRAM = find()
if PROGRAM is None:
    pytest.skip("needs a Chromium on the PATH", allow_module_level=True)

EVIL = "<img src=x onerror=alert(1)>"
LABELS = (f"bad {EVIL}", "neutral", "positive")
HEADINGS = ("rung", "model", "arm", "parameters")
ROWS = [("1 (this model)", f"bag {EVIL}", "a|b \\ `c`", "1,000"), ("2", "*GRU*", "", "250")]
LADDER = "\n".join(table(HEADINGS, ROWS))
CARD = f"""# The \\*card\\* {EVIL}

It is **good**, [a link](javascript:alert(1)) and `<b>code</b>`, with \\*escapes\\*.

- first {EVIL}
- second
{LADDER}
So much for it.

```sh
<script>alert(1)</script>
```
"""
TAB, ENTER = ("Tab", 9), ("Enter", 13)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("page")
    files = tiny_bundle.contents(folder) | {"README.md": CARD.encode()}
    bundle.write(folder / "tiny", tiny_bundle.about(LABELS), files)
    with served(folder / "tiny", "--port", "0", "--max-texts", "3") as running:
        yield running


@pytest.fixture
def page(browser: Browser, server: Served) -> Iterator[Browser]:
    browser.events.clear()
    browser.size(1000, 800)
    browser.open(server.url)
    browser.until(f"document.title === {f'The *card* {EVIL} · stepdown'!r}")
    browser.until("document.activeElement.id === 'text'")
    yield browser
    # Whatever a test did: nothing was blocked or failed, and nobody else was asked for anything.
    wrong = ("Log.entryAdded", "Runtime.exceptionThrown", "Page.javascriptDialogOpening")
    assert browser.told(lambda event: event.get("method") in wrong) == []
    requests = browser.told(lambda event: event.get("method") == "Network.requestWillBeSent")
    urls = {event["params"]["request"]["url"] for event in requests}
    assert all(url.startswith((server.url, "data:")) for url in urls)
    assert browser.value("document.images.length + document.scripts.length") == 1, "the page's own script"


def text_of(page: Browser, selector: str) -> str:
    return str(page.value(f"document.querySelector({selector!r}).innerText"))


def test_label_scores_and_words_change_as_one_types(page: Browser) -> None:
    page.write("good movie")
    page.until("document.querySelectorAll('#scores li').length === 3")
    page.until("document.querySelector('#why').textContent === 'good movie'")
    first = text_of(page, "#answer")
    assert "Read in" in first
    assert "log-odds" in first
    page.until("document.querySelector('#live').textContent")
    page.write(f" bad bad 😂 {EVIL}")
    page.until(f"document.querySelector('#why').textContent === {'good movie bad bad 😂 ' + EVIL!r}")
    assert text_of(page, "#answer") != first
    assert EVIL in text_of(page, "#scores"), "a label's name is text"
    assert page.value("[...document.querySelectorAll('#why mark')].length") > 0
    shares = "[...document.querySelectorAll('.track i')].map((bar) => bar.getBoundingClientRect().width)"
    widths = page.value(shares)
    assert widths[0] == max(widths) > 0
    page.value("$('text').value = ''; $('text').dispatchEvent(new Event('input'))")
    page.until("document.querySelector('#answer').hidden")


def test_an_answer_about_an_earlier_text_is_dropped(page: Browser) -> None:
    """Also one that comes although it was given up: here, `fetch` ignores that, and the first answer is late."""
    page.value(
        """(() => {
          const own = window.fetch;
          let calls = 0;
          window.late = new Promise((resolve) => { window.letGo = resolve; });
          window.fetch = async (path, { signal, ...rest }) => {
            const first = calls++ === 0;
            const answer = await own(path, rest);
            if (first) { window.held = true; await window.late; window.came = true; }
            return answer;
          };
        })()"""
    )
    page.write("good")
    page.until("window.held")
    page.write(" bad")
    page.until("document.querySelector('#why').textContent === 'good bad'")
    shown = text_of(page, "#answer")
    page.value("window.letGo()")
    page.until("window.came")
    page.value("new Promise((resolve) => setTimeout(resolve, 600))")
    assert text_of(page, "#answer") == shown


def test_many_texts_become_a_table_with_the_keyboard_alone(page: Browser) -> None:
    assert page.value("document.activeElement.id") == "text"
    for field in ("below", "lines"):
        page.press(*TAB)
        assert page.value("document.activeElement.id") == field
    page.write(f"good movie\n\nbad\n  not {EVIL}\na\nthe")
    page.press(*TAB)
    assert page.value("document.activeElement.id") == "go"
    assert page.value("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    page.press(*ENTER)
    page.until("document.querySelector('#progress').textContent.startsWith('5 texts, ')")
    cells = page.value(
        "[...document.querySelectorAll('#table tbody td:first-child')].map((cell) => cell.textContent)"
    )
    assert cells == ["good movie", "bad", f"  not {EVIL}", "a", "the"], "in requests of at most three"
    assert page.value(
        "[...document.querySelectorAll('#table tbody td:nth-child(2)')].every((cell) => cell.textContent)"
    )
    page.press(*TAB)
    assert page.value("document.activeElement.id") == "save"
    page.value(
        "URL.createObjectURL = (blob) => { window.saved = blob.text(); return '#'; };"
        "HTMLAnchorElement.prototype.click = () => {}"
    )
    page.press(*ENTER)
    saved = page.value("window.saved").splitlines()
    assert saved[0] == '"text","label","score"'
    assert saved[3].startswith(f'"  not {EVIL}","')
    assert len(saved) == 6


def test_the_button_keeps_the_focus_and_works_once_at_a_time(page: Browser) -> None:
    page.value(
        """(() => {
          const own = window.fetch;
          window.calls = 0;
          window.late = new Promise((resolve) => { window.letGo = resolve; });
          window.fetch = async (...asked) => { calls++; await late; return own(...asked); };
        })()"""
    )
    page.value("$('lines').focus()")
    page.write("good\nbad")
    page.press(*TAB)
    page.press(*ENTER)
    page.until("calls === 1")
    assert page.value("$('go').ariaDisabled") == "true"
    page.press(*ENTER)
    page.value("$('lines').focus()")
    page.press(*ENTER, 2)
    page.value("$('go').focus()")
    page.value("letGo()")
    page.until("document.querySelector('#progress').textContent.startsWith('2 texts, ')")
    assert page.value("[document.activeElement.id, $('go').ariaDisabled, calls]") == ["go", "false", 1]
    page.press(*ENTER)
    page.until("calls === 2 && document.querySelector('#progress').textContent.startsWith('2 texts, ')")
    assert page.value("document.activeElement.id") == "go"


def test_a_line_that_is_too_long_is_named(page: Browser) -> None:
    short = "\n" + "good\n" * 7
    page.value(
        f"$('lines').value = {short!r} + '😂'.repeat(100000) + '\\n' + 'a'.repeat(100001); $('go').click()"
    )
    page.until("!document.querySelector('#many-problem').hidden")
    told = "A text may have 100,000 characters; line 10 has 100,001. Cut it, or split it."
    assert text_of(page, "#many-problem") == told
    assert page.value("[rows.length, $('go').ariaDisabled]") == [0, "false"]


def test_answers_can_be_held_back_below_a_score(page: Browser) -> None:
    page.write("good movie")
    page.until("document.querySelector('#score').textContent")
    label, score = text_of(page, "#label"), text_of(page, "#score")
    page.press(*TAB)
    page.write("99.9")
    page.until("document.querySelector('#label').textContent === 'No label'")
    assert text_of(page, "#score") == f"the highest score is {score}"
    assert page.value("document.querySelectorAll('#scores .applies').length") == 0
    page.until("document.querySelector('#live').textContent.startsWith('No label, the highest score is ')")
    page.value("$('lines').focus()")
    page.write("good movie")
    page.press(*ENTER, modifiers=2)
    page.until("document.querySelector('#progress').textContent.endsWith(': none 1.')")
    assert text_of(page, "tbody td:nth-child(2)") == "none"
    assert page.value("rows[0].csv.label") == ""
    for nothing in ("0", "", "-3"):
        page.value(f"$('below').value = {nothing!r}; $('below').dispatchEvent(new Event('input'))")
        page.until(f"document.querySelector('#label').textContent === {label!r}")


def test_a_fault_is_shown_and_goes_away(page: Browser) -> None:
    page.value("window.fetch = async () => { throw new TypeError('failed') }")
    page.write("good")
    page.until("!document.querySelector('#problem').hidden")
    assert text_of(page, "#problem") == "The server does not answer. Is it still running?"
    page.value(
        "window.fetch = async () => new Response(JSON.stringify({ detail: 'Too <b>long</b>.' }), { status: 422 })"
    )
    page.write("!")
    page.until("document.querySelector('#problem').textContent === 'Too <b>long</b>.'")
    page.value("$('text').value = ''; $('text').dispatchEvent(new Event('input'))")
    page.until("document.querySelector('#problem').hidden")


def test_the_card_is_shown_as_text(page: Browser) -> None:
    page.value("document.querySelector('details').open = true")
    card = text_of(page, "#card")
    for part in (
        f"The *card* {EVIL}",
        "It is good, [a link](javascript:alert(1))",
        "with *escapes*.",
        f"first {EVIL}",
    ):
        assert part in card
    assert text_of(page, "#card pre") == "<script>alert(1)</script>\n"
    assert text_of(page, "#card p code") == "<b>code</b>"
    assert text_of(page, "#card .box + p") == "So much for it."
    tags = page.value(
        "[...new Set([...document.querySelectorAll('#card *')].map((one) => one.tagName))].sort()"
    )
    tags_of_table = ["TABLE", "TBODY", "TD", "TH", "THEAD", "TR"]
    assert tags == sorted(["CODE", "DIV", "H3", "LI", "P", "PRE", "STRONG", "UL", *tags_of_table])


def test_a_table_of_the_card_is_one(page: Browser) -> None:
    page.value("document.querySelector('details').open = true")
    shown = page.value(
        "[...document.querySelectorAll('#card tr')].map((row) => [...row.cells].map((one) => one.textContent))"
    )
    assert shown == [list(row) for row in (HEADINGS, *ROWS)]
    heads = "[...document.querySelectorAll('#card thead th')]"
    assert page.value(f"{heads}.map((one) => one.scope)") == ["col"] * 4
    sides = page.value(f"{heads}.map((one) => getComputedStyle(one).textAlign)")
    assert sides == ["left", "left", "left", "right"]
    # Rows need not be as long as the headings, or end with a bar; what has no rule below it is no table.
    uneven = "| a | b |\n| --- | --: |\n| 1\n| 1 | 2 | 3 |\n\n| c |\n| d |"
    page.value(f"$('card').replaceChildren(...markdown({uneven!r}))")
    cells = page.value("[...document.querySelectorAll('#card td')].map((one) => one.textContent)")
    assert cells == ["1", "", "1", "2"]
    assert text_of(page, "#card p") == "| c | | d |"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_fits_a_phone_by_day_and_by_night(page: Browser, scheme: str) -> None:
    page.size(375, 812, phone=True)
    page.scheme(scheme)
    page.write("word " + "x" * 300)
    page.value("document.querySelector('#lines').focus()")
    page.write("y" * 300 + "\ngood movie")
    page.press("Enter", 13, 2)
    page.until("document.querySelector('#progress').textContent.startsWith('2 texts')")
    page.until("document.querySelector('#why').textContent.length === 305")
    page.value("document.querySelector('details').open = true")
    assert page.value("document.documentElement.scrollWidth") == 375
    wide = f"| {'word ' * 9}| {' | '.join(['x' * 20] * 6)} |\n{'| :-- ' * 7}|"
    page.value(f"$('card').replaceChildren(...markdown({wide!r}))")
    assert page.value(
        "document.querySelector('.box').scrollWidth > document.querySelector('.box').clientWidth"
    )
    assert page.value("document.documentElement.scrollWidth") == 375
    background = page.value("getComputedStyle(document.body).backgroundColor")
    assert (background == "rgb(255, 255, 255)") == (scheme == "light")
