"""Which texts are versions of each other."""

import os
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stepdown.data import groups, hashing
from stepdown.data.groups import Index, components, overlap
from stepdown.data.hashing import normalise, words

NINE = "one two three four five six seven eight nine"

# A small vocabulary, so that runs repeat.
texts_of_few_words = st.lists(
    st.lists(st.sampled_from("abcdef"), min_size=1, max_size=12).map(" ".join), min_size=1, max_size=14
)


def runs(text: str, n: int) -> set[tuple[str, ...]]:
    found = normalise(text)
    return {tuple(found[at : at + n]) for at in range(len(found) - n + 1)}


def linked(one: str, other: str) -> bool:
    """The first three rules, by sets and tuples."""
    if normalise(one) == normalise(other) or runs(one, 8) & runs(other, 8):
        return True
    return min(len(normalise(one)), len(normalise(other))) < 8 and bool(runs(one, 5) & runs(other, 5))


def holds(one: str, other: str) -> bool:
    """The last rule: `other` has three or four words, and `one` holds it."""
    n = len(normalise(other))
    return n in (3, 4) and tuple(normalise(other)) in runs(one, n)


def test_words_are_compared_without_case_marks_and_forms() -> None:
    assert normalise("Don't  STOP!") == ["don", "t", "stop"]
    assert normalise("ﬁne １２ Straße") == ["fine", "12", "strasse"]
    assert normalise("映画です good") == ["映", "画", "で", "す", "good"]
    assert normalise(" !!! ") == ["!!!"]
    assert normalise("") == [""]


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ("Good film.", "good FILM", True),
        ("good film", "good films", False),
        (f"x {NINE}", f"{NINE} y", True),
        ("a one two three four five six seven b", "c one two three four five six seven d", False),
        ("one two three four five", "x y one two three four five z z z", True),
        ("one two three four x", "one two three four y", False),
        ("not too bad", "it is not too bad at all i think", True),
        ("too bad", "it is not too bad at all i think", False),
        ("👍", "👍", True),
        ("👍", "👎", False),
    ],
)
def test_rules_of_overlap(one: str, other: str, expected: bool) -> None:
    assert overlap([one], [other]).tolist() == [expected]
    assert overlap([other], [one]).tolist() == [expected]


@settings(max_examples=200)
@given(texts_of_few_words, texts_of_few_words)
def test_overlap_is_what_the_rules_say(texts: list[str], against: list[str]) -> None:
    # With at most 20 texts in all, nothing is boilerplate.
    texts, against = texts[:10], against[:10]
    expected = [
        any(linked(text, other) or holds(text, other) or holds(other, text) for other in against)
        for text in texts
    ]
    assert overlap(texts, against).tolist() == expected


@settings(max_examples=200)
@given(texts_of_few_words)
def test_groups_are_the_closure_of_links(texts: list[str]) -> None:
    found = components(words(texts))
    expected = np.arange(len(texts))
    for _ in texts:
        for row, text in enumerate(texts):
            for other, second in enumerate(texts):
                if linked(text, second):
                    expected[[row, other]] = min(expected[row], expected[other])
    same = found[:, None] == found[None, :]
    assert (same == (expected[:, None] == expected[None, :])).all()


@settings(max_examples=50)
@given(texts_of_few_words, st.randoms(use_true_random=False))
def test_groups_do_not_depend_on_the_order_of_rows(texts: list[str], draw: object) -> None:
    order = list(range(len(texts)))
    draw.shuffle(order)  # type: ignore[attr-defined]
    one, other = components(words(texts)), components(words([texts[row] for row in order]))
    assert ((one[order][:, None] == one[order][None, :]) == (other[:, None] == other[None, :])).all()


@settings(max_examples=50)
@given(texts_of_few_words)
def test_a_small_block_or_part_changes_nothing(texts: list[str]) -> None:
    whole, keys = components(words(texts)), words(texts).whole
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(hashing, "_BLOCK", 5)
        patch.setattr(groups, "_PART", 3)
        assert (components(words(texts)) == whole).all()
        assert (words(texts).whole == keys).all()


def test_words_taken_and_joined_are_the_words_of_those_texts() -> None:
    texts = ["a b c", "d", "e f"]
    taken = words(texts).take(np.array([2, 0]))
    assert (taken.whole == words(["e f", "a b c"]).whole).all()
    joined = hashing.join([words(texts[:1]), words(texts[1:])])
    assert (joined.hashes == words(texts).hashes).all()
    assert joined.offsets.tolist() == [0, 3, 4, 6]


def test_boilerplate_links_nothing() -> None:
    signature = "sent from my phone please excuse any typing errors"
    few = [f"{signature} {index} {index}" for index in range(20)]
    assert len(set(components(words(few)).tolist())) == 1
    many = [f"{signature} {index} {index}" for index in range(21)]
    assert len(set(components(words(many)).tolist())) == 21
    assert not overlap(many[:20], many[20:]).any()
    # Texts that are nothing but boilerplate are equal, and stay together.
    assert len(set(components(words([signature] * 30)).tolist())) == 1


def test_boilerplate_is_told_from_the_corpus_too() -> None:
    signature = "sent from my phone please excuse any typing errors"
    held_out = words([f"first {signature}", "the plot is thin and the acting is thinner still"])
    corpus = words([f"{signature} {index}" for index in range(30)])
    fresh = words([f"hello {signature}", "i say the plot is thin and the acting is thinner"])
    assert Index(held_out).overlaps(fresh).tolist() == [True, True]
    assert Index(held_out, corpus).overlaps(fresh).tolist() == [False, True]


def test_hashes_are_the_same_in_every_process() -> None:
    code = "from stepdown.data.hashing import words; print(words(['one two three']).whole[0])"
    said = {
        subprocess.run(
            [sys.executable, "-c", code],
            env=os.environ | {"PYTHONHASHSEED": seed},
            capture_output=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert said == {f"{words(['one two three']).whole[0]}\n".encode()}


def test_no_texts() -> None:
    assert overlap([], ["a"]).tolist() == []
    assert overlap(["a b c"], []).tolist() == [False]
    assert components(words([])).tolist() == []
