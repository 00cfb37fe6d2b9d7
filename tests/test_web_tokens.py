"""The tokenizers in JavaScript, in a real browser: the shared vectors, and equality with Python's."""

from __future__ import annotations

import itertools
import random
import re
import sys
import unicodedata
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import pytest
from browser import Browser, find
from websites import computed, offered

from stepdown.serve import erasure
from stepdown.tasks import joined, single
from stepdown.tokens import BertWordPiece, Reading, Words
from stepdown.tokens.sentences import sentences
from stepdown.tokens.wordpiece import SPECIAL
from stepdown.web import folder as websites
from tests.test_tokens import HARD_TEXTS, vectors

PROGRAM = find()
if PROGRAM is None:
    pytest.skip("needs a Chromium on the PATH", allow_module_level=True)

Compute = Callable[[Any, str], Any]


@pytest.fixture(scope="module")
def compute(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Compute]:
    """Runs a script over data, on a page beside the engine's modules."""
    place = tmp_path_factory.mktemp("engine")
    (place / "engine").mkdir()
    for name, content in websites.engine().items():
        (place / "engine" / name).write_bytes(content)
    (place / "index.html").write_text("<!doctype html><title>engine</title>", encoding="utf-8")
    assert PROGRAM is not None
    with offered(place) as url, Browser(PROGRAM, tmp_path_factory.mktemp("browser")) as browser:
        browser.open(f"{url}/index.html")
        yield lambda data, script: computed(browser, place, data, script)


# Groups of { settings, max_length, texts }, each text one or two; answers with ids and whether a text was cut.
ENCODE = """
const { Words } = await import("/engine/words.js");
const { BertWordPiece } = await import("/engine/wordpiece.js");
return data.map(({ settings, max_length, texts }) => {
  const tokenizer = settings.entries
    ? new Words(settings.entries, settings.lowercase, settings.pairs)
    : new BertWordPiece(settings.vocabulary, settings);
  return texts.map((text) => {
    const { ids, truncated } = tokenizer.encode([text].flat(), max_length);
    return [ids, truncated];
  });
});
"""


def ids_of(tokenizer: Words | BertWordPiece, texts: list[Any], max_length: int) -> list[Any]:
    """The same in Python."""
    strings = [joined(*text) if isinstance(text, list) else single(text) for text in texts]
    found = tokenizer.encode(strings, max_length)
    ids = found.ids.tolist()
    rows = [ids[start:end] for start, end in itertools.pairwise(found.offsets.tolist())]
    return [list(both) for both in zip(rows, found.truncated.tolist(), strict=True)]


# --- the shared vectors ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["words.json", "bert-wordpiece.json"])
def test_the_shared_vectors_are_read(name: str, compute: Compute) -> None:
    groups = vectors(name)
    asked = [
        {
            "settings": group,
            "max_length": group["max_length"],
            "texts": [case.get("pair") or case["text"] for case in group["cases"]],
        }
        for group in groups
    ]
    expected = [[[case["ids"], case["truncated"]] for case in group["cases"]] for group in groups]
    assert compute(asked, ENCODE) == expected


def test_the_shared_vectors_have_the_same_words(compute: Compute) -> None:
    cases = [
        (group["lowercase"], case["text"], case["words"])
        for group in vectors("words.json")
        for case in group["cases"]
        if "text" in case
    ]
    script = """
    const { Words } = await import("/engine/words.js");
    return data.map(([lowercase, text]) => new Words([], lowercase).words(text));
    """
    assert compute([case[:2] for case in cases], script) == [case[2] for case in cases]


SENTENCES = 'const { sentences } = await import("/engine/sentences.js"); return data.map(sentences);'


def test_the_shared_vectors_are_cut_into_sentences(compute: Compute) -> None:
    cases = vectors("sentences.json")
    assert compute([case["text"] for case in cases], SENTENCES) == [case["sentences"] for case in cases]


# --- all characters -------------------------------------------------------------------------------------------------

KNOWN = [code for code in range(sys.maxunicode + 1) if unicodedata.category(chr(code)) != "Cn"]
_WORD, _SPACE = re.compile(r"\w"), re.compile(r"\s")
CLASSES: dict[str, Callable[[str], object]] = {
    r"[\p{L}\p{M}\p{N}]": lambda c: unicodedata.category(c)[0] in "LMN",
    r"[\p{Cc}\p{Cf}\p{Co}\p{Cs}]": lambda c: unicodedata.category(c) in ("Cc", "Cf", "Co", "Cs"),
    r"[\p{Cc}\p{Cf}]": lambda c: unicodedata.category(c) in ("Cc", "Cf"),
    r"\p{P}": lambda c: unicodedata.category(c)[0] == "P",
    r"\p{Mn}": lambda c: unicodedata.category(c) == "Mn",
    r"\p{Lowercase}": str.islower,
    r"\p{Uppercase}": str.isupper,
    "[WORD]": _WORD.match,
    "[SPACE]": _SPACE.match,
}
CHANGES: dict[str, Callable[[str], str]] = {
    "toLowerCase": str.lower,
    "NFKC": lambda c: unicodedata.normalize("NFKC", c),
    "NFD": lambda c: unicodedata.normalize("NFD", c),
}
# Code points of which the browser thinks otherwise, each with the class or the change.
OTHERS = """
const { SPACE, WORD } = await import("/engine/unicode.js");
const codes = (ranges) => ranges.flatMap(([a, b]) => Array.from({ length: b - a + 1 }, (_, i) => a + i));
const known = codes(data.known), wrong = [];
for (const [name, ranges] of Object.entries(data.classes)) {
  const pattern = new RegExp(name.replace("SPACE", SPACE).replace("WORD", WORD), "u"), own = new Set(codes(ranges));
  for (const code of known) {
    if (pattern.test(String.fromCodePoint(code)) !== own.has(code)) wrong.push([code, name]);
  }
}
for (const [name, changed] of Object.entries(data.changes)) {
  for (const code of known) {
    const character = String.fromCodePoint(code);
    const found = name === "toLowerCase" ? character.toLowerCase() : character.normalize(name);
    if (found !== (changed[code] ?? character)) wrong.push([code, name]);
  }
}
return wrong;
"""


def ranges(codes: Iterable[int]) -> list[list[int]]:
    """Code points as ranges, both ends included."""
    found: list[list[int]] = []
    for code in codes:
        if found and found[-1][1] == code - 1:
            found[-1][1] = code
        else:
            found.append([code, code])
    return found


@pytest.fixture(scope="module")
def others(compute: Compute) -> list[list[Any]]:
    """Characters of this Python's Unicode that the browser's Unicode has changed, or the other way round."""
    data = {
        "known": ranges(KNOWN),
        "classes": {name: ranges(c for c in KNOWN if holds(chr(c))) for name, holds in CLASSES.items()},
        "changes": {
            name: {code: change(chr(code)) for code in KNOWN if change(chr(code)) != chr(code)}
            for name, change in CHANGES.items()
        },
    }
    return list(compute(data, OTHERS))


def test_the_browser_knows_all_but_a_few_characters_as_python_does(others: list[list[Any]]) -> None:
    """Between Unicode 14 and 17 it is 7 of 287,419, of which docs/bundle.md tells."""
    assert len(others) <= 20
    assert min((code for code, _ in others), default=0x250) >= 0x250, "none of the Latin letters"


# --- random texts ---------------------------------------------------------------------------------------------------

PIECES = [
    *"aAbBdDnNtTsSiIſKİıΣσς019 ..,!?'\"`-()[]/\\*#$^_~<>&;:\t\n\r\x0b\x0c\x1c\x1f\x85\x00\x7f",
    *"\xa0\u2003\u2028\u3000\ufeff",
    *"éÉñçßﬁﬀ½²Ⅳ①㎏ªªʰ„“”‘’´ʼ′″«»–—―‐−…",
    *"\u0301\u0308\u0345\u200b\u200d\u2060\u00ad\ufe0f\u202e\ue000\ufffd\ud800\udfff\ufdd0",
    *"电影很好看。！？」豈ノカ゛ｶﾞ한글각שלוםمرحبا١٢हिन्दी์ไทย",
    *"😂👨‍👩‍👧❤️🏳️‍🌈𝒜𝟘𠀀𪛖🄰\U000e0041",
    "n't", "N'T", "don't", "can't", "cannot", "CANNOT", "it's", "we'LL", "-lrb-", "-RRB-", "''", "``", "\\/", "\\*",
    "[UNK]", "[CLS]", "[SEP]", "[PAD]", "[MASK]", "[sep]", "!!!!", "....", "--", "---", "good", "Movie", "the", " ",
    " ", " ", "Mr. ", "e.g. ", "U.S. ", " J. ", "I. ", ' ." ', ". A", ". a", ".) (B", "... And", "? No", "。と",
    "&amp;", "&amp", "&lt;br&gt;", "&notit;", "&#65;", "&#x1F600;", "&#128;", "&#0;", "&#1;", "&#xFFFE;",
    "&#99999999999;", "&#00000000000066", "&nbsp;",
    "&CounterClockwiseContourIntegral;", "&é;", "<br />", "<BR>", "</p>", "<i>", "</I>",
    "<bé>", "<b_>", "<h1>", "<H6 x=1>", "<ſpan>", "<lİ>", "<div\n>", "<a href='x'>",
]  # fmt: skip


# Halves of a pair that happen to meet are two characters to Python and one to JavaScript.
HALVES = re.compile("[\ud800-\udbff](?=[\udc00-\udfff])")


def random_texts(n: int, seed: int) -> list[str]:
    """Texts that are made of all that tokenizers treat in their own way; a fifth are of any characters."""
    draw = random.Random(seed)
    texts = []
    for _ in range(n):
        size = min(int(draw.expovariate(1 / 12)), 120)
        anything = draw.random() < 0.2
        drawn = (chr(draw.choice(KNOWN)) if anything else draw.choice(PIECES) for _ in range(size))
        texts.append(HALVES.sub("", "".join(drawn)))
    return texts


def pairs_of(texts: list[str]) -> list[list[str]]:
    return [list(pair) for pair in zip(texts[::2], texts[1::2], strict=False)]


# Long ones take other ways through Python's code.
LONG_TEXTS = ["".join(text) for text in zip(*[iter(random_texts(1600, 7))] * 80, strict=True)]


@pytest.fixture(scope="module")
def texts(others: list[list[Any]]) -> list[str]:
    """Some thousands of texts without what the two take for different characters."""
    changed = {chr(code) for code, _ in others}
    return [
        single(text) for text in (*HARD_TEXTS, *random_texts(3000, 0), *LONG_TEXTS) if not changed & set(text)
    ]


@pytest.mark.parametrize(("lowercase", "pairs"), [(True, False), (False, True), (True, True)])
def test_words_gives_the_ids_of_python(
    lowercase: bool, pairs: bool, compute: Compute, texts: list[str]
) -> None:
    draw = random.Random(1)
    spelt = Words([], lowercase)
    met = sorted({word for text in random_texts(400, 2) for word in spelt.words(single(text))})
    parts = [word[: draw.randint(1, 3)] for word in met]
    entries = [
        entry for entry in dict.fromkeys([*met[::2], *parts[::3]]) if not re.search("[\ud800-\udfff]", entry)
    ]
    tokenizer = Words(entries, lowercase, pairs)
    for max_length, asked in ((9, texts), (4000, texts), (9, pairs_of(texts))):
        settings = {"entries": entries, "lowercase": lowercase, "pairs": pairs}
        (found,) = compute([{"settings": settings, "max_length": max_length, "texts": asked}], ENCODE)
        expected = ids_of(tokenizer, asked, max_length)
        assert [text for text, a, b in zip(asked, found, expected, strict=True) if a != b] == []
    assert len({number for row, _ in expected for number in row}) > 150, "entries are met"


@pytest.mark.parametrize(
    ("lowercase", "accents", "ideographs"),
    [(True, None, True), (False, None, True), (True, False, False), (False, True, True)],
)
def test_wordpiece_gives_the_ids_of_python(
    lowercase: bool, accents: bool | None, ideographs: bool, compute: Compute, texts: list[str]
) -> None:
    draw = random.Random(3)
    reading = Reading(lowercase, accents, ideographs)
    spelt = BertWordPiece(SPECIAL, reading)
    met = sorted({word for text in random_texts(400, 4) for word in spelt._words(" ".join(text.split()))})
    begun = [word[: draw.randint(1, 3)] for word in met]
    gone_on = [f"##{word[draw.randint(1, 3) :]}" for word in met if len(word) > 3]
    pieces = [
        piece
        for piece in dict.fromkeys([*met[::2], *begun, *gone_on])
        if not re.search("[\ud800-\udfff]", piece)
    ]
    vocabulary = [*SPECIAL, *pieces, "[PAD]"]
    settings = {
        "vocabulary": vocabulary,
        "do_lower_case": lowercase,
        "strip_accents": accents,
        "tokenize_chinese_chars": ideographs,
    }
    tokenizer = BertWordPiece(vocabulary, reading)
    for max_length, asked in ((9, texts), (4000, texts), (9, pairs_of(texts))):
        (found,) = compute([{"settings": settings, "max_length": max_length, "texts": asked}], ENCODE)
        expected = ids_of(tokenizer, asked, max_length)
        assert [text for text, a, b in zip(asked, found, expected, strict=True) if a != b] == []
    assert len({number for row, _ in expected for number in row}) > 150, "pieces are met"


def test_sentences_are_those_of_python(compute: Compute, texts: list[str]) -> None:
    found = compute(texts, SENTENCES)
    assert [text for text, own in zip(texts, found, strict=True) if own != list(sentences(text))] == []
    assert sum(len(own) > 1 for own in found) > 500


def test_sentences_look_at_no_more_than_the_last_characters_before_a_mark(compute: Compute) -> None:
    """Of a whole line at every mark, this would take minutes."""
    quotes = '"' * 62
    looked_at = [f"{quotes}Mr. A", f"{quotes}𝐀. A", f"b{quotes}𝐀. A", f"{'x' * 64} Mr. A", f"{'😂' * 70}. A"]
    assert compute(looked_at, SENTENCES) == [list(sentences(text)) for text in looked_at]
    long = [". A" * 33_000, "A. " * 33_000, "fine. then " * 9_000]
    script = """
    const { sentences } = await import("/engine/sentences.js");
    const begun = performance.now();
    return [data.map((text) => sentences(text).length), performance.now() - begun];
    """
    lengths, spent = compute(long, script)
    assert lengths == [2, 1, 1]
    assert spent < 5000


def test_words_to_be_erased_are_those_of_the_server(compute: Compute, texts: list[str]) -> None:
    asked = [*([text] for text in texts), *pairs_of(texts[:100])]
    script = """
    const { pieces } = await import("/engine/erasure.js");
    const { size } = await import("/engine/unicode.js");
    return data.map((texts) => pieces(texts).map(({ index, start, end }) =>
      [index, size(texts[index].slice(0, start)), size(texts[index].slice(0, end))]));
    """
    expected = [[list(piece) for piece in erasure.pieces(texts)] for texts in asked]
    assert compute(asked, script) == expected
