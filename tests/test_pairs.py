"""Pairs of texts: how they are read, what makes two of them overlap, and how they are cut."""

import csv
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stepdown import data, transfer
from stepdown.data import Dataset, Split, columns, files, groups, labelled_split
from stepdown.data.choose import choose
from stepdown.data.groups import components, overlap, sharing_a_text
from stepdown.data.hashing import join, normalise, words
from stepdown.data.split import Cut, cut, overlap_between
from stepdown.data.strata import Strata
from stepdown.errors import DataError
from stepdown.recipe import DataSpec, TransferSpec
from stepdown.tasks import SEPARATOR, joined, parts
from stepdown.transfer import build

SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"
WORDS = [f"w{index}" for index in range(5000)]


def texts(count: int, seed: int, length: int = 9) -> list[str]:
    """Texts of random words, which share no runs."""
    draw = np.random.default_rng(seed)
    return [" ".join(draw.choice(WORDS, length)) for _ in range(count)]


def write(
    path: Path, first: Sequence[object], second: Sequence[object], labels: Sequence[object] = ()
) -> Path:
    labelled = list(labels) or [at % 2 for at in range(len(first))]
    with path.open("w", newline="", encoding="utf-8") as file:
        rows = zip(first, second, labelled, strict=True)
        csv.writer(file).writerows([["sentence1", "sentence2", "label"], *rows])
    return path


def load(source: Path, **spec: Any) -> Dataset:
    named = {"text": ("sentence1", "sentence2"), "label": ("label",)} | spec
    return data.load(DataSpec(source=str(source), **named), seed=0)


# --- reading ------------------------------------------------------------------------------------------------------


def test_two_columns_make_pairs(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", [" one ", "", "three"], ["two", "alone", " "], "xyx")
    columns_of = choose(files.open_file(path))
    assert columns_of.text == ("sentence1", "sentence2")
    rows = columns.rows(files.open_file(path), columns_of, columns.Values())
    assert [parts(text) for text in rows.texts] == [("one", "two"), ("", "alone"), ("three", "")]
    assert choose(files.open_file(path), text=("sentence2",)).text == ("sentence2",)


def test_pairs_of_which_both_texts_are_blank_are_refused_or_passed_over(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", ["one", "", " "], ["two", " ", ""], ["x", "y", ""])
    with pytest.raises(DataError, match="row 3 has a label but no text in 'sentence1' and 'sentence2'"):
        load(path)
    path = write(tmp_path / "b.csv", ["one", " "], ["two", ""], ["x", ""])
    chosen = choose(files.open_file(path))
    assert columns.rows(files.open_file(path), chosen, columns.Values()).blank == 1


def test_the_separator_in_a_text_becomes_a_space(tmp_path: Path) -> None:
    odd = f"a{SEPARATOR}b"
    lines = [{"sentence1": odd, "sentence2": odd, "text": odd, "label": at % 2} for at in range(3)]
    path = tmp_path / "a.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    table = files.open_file(path)
    pair = columns.rows(table, choose(table, ("sentence1", "sentence2")), columns.Values())
    assert pair.texts[0] == joined("a b", "a b")
    assert pair.texts[0].count(SEPARATOR) == 1
    assert columns.rows(table, choose(table, ("text",)), columns.Values()).texts[0] == "a b"
    assert list(columns.only_texts(table, ("text",))) == [["a b"] * 3]


def test_each_text_of_a_pair_is_cut_by_itself(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", ["word " * 30_000, "b"], ["end", "c"])
    rows = columns.rows(files.open_file(path), choose(files.open_file(path)), columns.Values())
    assert [len(part) for part in parts(rows.texts[0])] == [columns.LONGEST, 3]
    assert rows.shortened == 1


# --- overlap ------------------------------------------------------------------------------------------------------

EIGHT = "one two three four five six seven eight"


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        (("a b c", "d"), ("A b, c!", "d"), True),
        (("a b", "c"), ("a", "b c"), False),  # the same words, cut elsewhere
        (("a", "b"), ("b", "a"), False),
        ((f"x {EIGHT}", "y"), ("z", f"{EIGHT} q"), True),  # whichever the sides
        (
            ("one two three four", "five six seven eight x"),
            (EIGHT, "y"),
            True,
        ),  # four words that the other holds
        (("one two", "three four five six seven eight"), ("z", f"x {EIGHT[:27]}"), False),
        (("good film", "x"), ("good film", "y"), False),  # two words say too little
        (("good film indeed", "x"), ("y", "good film indeed"), True),
        (("", "a"), ("", "b"), False),
    ],
)
def test_pairs_overlap_by_either_text(one: tuple[str, str], other: tuple[str, str], expected: bool) -> None:
    assert overlap([joined(*one)], [joined(*other)]).tolist() == [expected]
    assert overlap([joined(*other)], [joined(*one)]).tolist() == [expected]


def runs(text: str, n: int) -> set[tuple[str, ...]]:
    found = normalise(text)
    return {tuple(found[at : at + n]) for at in range(len(found) - n + 1)}


def run_in_common(one: str, other: str) -> bool:
    """The rules about words in a row, by sets and tuples."""
    shorter, longer = sorted((one, other), key=lambda text: len(normalise(text)))
    least = min(8 if len(normalise(shorter)) >= 8 else 5, len(normalise(shorter)))
    return least >= 3 and bool(runs(shorter, least) & runs(longer, least))


sides = st.lists(st.sampled_from("abcd"), min_size=1, max_size=10).map(" ".join)
some_pairs = st.lists(st.tuples(sides, sides), min_size=1, max_size=10)


@settings(max_examples=200)
@given(some_pairs, some_pairs)
def test_overlap_of_pairs_is_what_the_rules_say(
    pairs: list[tuple[str, str]], against: list[tuple[str, str]]
) -> None:
    expected = [
        any(
            pair == other or any(run_in_common(own, theirs) for own in pair for theirs in other)
            for other in against
        )
        for pair in pairs
    ]
    assert (
        overlap([joined(*pair) for pair in pairs], [joined(*pair) for pair in against]).tolist() == expected
    )


def test_runs_of_words_do_not_cross_from_one_text_into_the_other() -> None:
    pair = joined("one two three four q", "five six seven eight r")
    assert not overlap([pair], [joined("four q five six seven", "z")]).any()
    assert overlap([pair], [joined("z", "five six seven eight r")]).all()


def test_words_of_pairs_taken_and_joined_are_the_words_of_those_pairs() -> None:
    pairs = [joined("a b", "c"), joined("d", "e f g"), joined("c", "a b"), joined("", "h")]
    found = words(pairs)
    assert found.sides == 2
    assert found.lengths.tolist() == [3, 4, 3, 2]
    assert len(set(found.whole.tolist())) == 4, "(a b, c) is not (c, a b)"
    taken = found.take(np.array([3, 1]))
    assert (taken.whole == words([pairs[3], pairs[1]]).whole).all()
    both = join([taken, words([])])
    assert (both.sides, len(both)) == (2, 2)
    assert groups.equal(found)[0] == groups.equal(found)[2]


def test_groups_of_pairs() -> None:
    pairs = words(
        [
            joined("a b c", "first of many"),
            joined("other words here", "A B C"),  # a text in common
            joined(f"and {EIGHT}", "third one there"),
            joined("a fourth one", f"{EIGHT} again"),  # a run in common
            joined("yes", "fifth of five"),
            joined("yes", "sixth of six"),  # one word in common
        ]
    )
    assert groups_of(components(pairs)) == [{0, 1}, {2, 3}, {4}, {5}]
    assert groups_of(sharing_a_text(pairs)) == [{0, 1}, {2}, {3}, {4}, {5}]


def groups_of(group_of: np.ndarray) -> list[set[int]]:
    return sorted(
        ({*np.flatnonzero(group_of == group).tolist()} for group in set(group_of.tolist())), key=min
    )


def test_a_text_of_nearly_every_pair_links_nothing() -> None:
    question = "is this a complaint about the service"
    pairs = [joined(text, question) for text in texts(40, 0)]
    assert len(set(components(words(pairs)).tolist())) == 40
    assert len(set(components(words(pairs[:20])).tolist())) == 1


# --- cuts ---------------------------------------------------------------------------------------------------------


def made(pairs: Sequence[str]) -> Cut:
    train = Split(list(pairs), np.arange(len(pairs)) % 2)
    return cut(
        train, None, None, strata=Strata.of_classes(2), selection_fraction=0.1, report_fraction=0.1, seed=0
    )


def test_pairs_with_a_text_in_common_are_on_one_side() -> None:
    premises, others = texts(100, 1), texts(400, 2)
    found = made([joined(premises[at // 4], other) for at, other in enumerate(others)])
    assert "whole groups of pairs that share a run of words or a text" in found.story.origins["report"]
    assert len(found.report) == 40
    for one, other in (
        (found.train, found.report),
        (found.train, found.selection),
        (found.selection, found.report),
    ):
        assert overlap_between("a", one, "b", other) is None


def test_pairs_that_all_hang_together_by_runs_are_cut_by_their_texts() -> None:
    draw = np.random.default_rng(0)
    words_of = list(draw.choice(WORDS, 500))
    premises = [" ".join(words_of[start : start + 12]) for start in range(0, 400, 4)]  # a chain of runs
    found = made([joined(premises[at // 4], other) for at, other in enumerate(texts(400, 2))])
    assert "whole groups of pairs that share a text" in found.story.origins["report"]
    assert any(
        "100% are in groups too large for it. It was cut by groups" in note for note in found.story.notes
    )
    sides = [
        {part for text in one.split.texts for part in parts(text)} for one in (found.train, found.report)
    ]
    assert not sides[0] & sides[1]
    left = overlap_between("train", found.train, "report", found.report)
    assert left is not None
    assert left.rows > 0


def test_pairs_that_all_hang_together_by_texts_are_cut_one_by_one() -> None:
    chain = texts(401, 3)
    pairs = [joined(chain[at], chain[at + 1]) for at in range(400)]
    found = made([*pairs[:200], *(joined(*reversed(parts(pair))) for pair in pairs[:200])])
    assert "pair by pair" in found.story.origins["report"]
    ordered = [
        {tuple(sorted(parts(text))) for text in one.split.texts} for one in (found.train, found.report)
    ]
    assert not ordered[0] & ordered[1], "(a, b) stays with (b, a)"


def test_given_splits_of_pairs(tmp_path: Path) -> None:
    first, second = texts(100, 1), texts(100, 2)
    write(tmp_path / "train.csv", [*first, first[0], second[1]], [*second, second[0], first[1]], [0, 1] * 51)
    write(
        tmp_path / "test.csv", [first[2].upper(), first[3], *texts(20, 5)], [second[2], "new", *texts(20, 6)]
    )
    found = load(tmp_path)
    assert found.task.is_pair
    assert found.task.kind == "single-label"
    assert found.facts.removed.duplicates == 1
    assert found.facts.removed.equal == 1
    (left,) = (one for one in found.facts.overlaps if (one.first, one.second) == ("train", "report"))
    assert (left.rows, left.others) == (1, 1)
    assert found.facts.text_column == "sentence1, sentence2"
    assert found.facts.splits["report"].words.median == 18


def test_conflicts_of_pairs_are_shown_as_two_texts(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", ["a b", "a b", *texts(60, 1)], ["c", "c", *texts(60, 2)])
    write(tmp_path / "t.csv", texts(9, 3), texts(9, 4))
    spec = {"source": None, "train": str(path), "test": str(tmp_path / "t.csv")}
    conflicts = data.load(
        DataSpec(text=("sentence1", "sentence2"), label=("label",), **spec), 0
    ).facts.conflicts
    assert conflicts.examples in (((("a b | c"), ("0", "1")),), ())


# --- texts without labels -----------------------------------------------------------------------------------------


@pytest.fixture
def dataset(tmp_path: Path) -> Dataset:
    folder = tmp_path / "data"
    folder.mkdir()
    for seed, name in enumerate(("train", "validation", "test")):
        write(folder / f"{name}.csv", texts(100, seed), texts(100, 10 + seed))
    return load(folder)


def test_unlabelled_pairs(dataset: Dataset, tmp_path: Path) -> None:
    fresh = texts(4, 20), texts(4, 21)
    held, (own, other) = parts(dataset.report.texts[0]), parts(dataset.train.texts[0])
    path = write(
        tmp_path / "more.csv",
        [*fresh[0], held[1], own, other, ""],
        [*fresh[1], "turned round", other, own, ""],
        [""] * 8,
    )
    found = build(dataset, TransferSpec(unlabeled=(str(path),)))
    kept = set(found.pool)
    assert kept == {*(joined(*pair) for pair in zip(*fresh, strict=True)), joined(other, own)}
    (source,) = found.facts.sources
    assert (source.texts, source.overlapping, source.repeated) == (7, 1, 1)
    named = tmp_path / "named.csv"
    named.write_text(path.read_text().replace("sentence1", "left").replace("sentence2", "right"))
    with pytest.raises(DataError, match="cannot tell which two columns hold the pairs of texts"):
        build(dataset, TransferSpec(unlabeled=(str(named),)))
    assert set(build(dataset, TransferSpec(unlabeled=(str(named),), text=("left", "right"))).pool) == kept


def test_pairs_and_single_texts_do_not_mix(dataset: Dataset, tmp_path: Path) -> None:
    path = str(write(tmp_path / "more.csv", texts(3, 20), texts(3, 21)))
    with pytest.raises(DataError, match="the data are pairs of texts, expected two columns"):
        build(dataset, TransferSpec(unlabeled=(path,), text=("sentence1",)))
    single = replace(dataset, task=replace(dataset.task, is_pair=False))
    with pytest.raises(DataError, match="are a pair of texts, expected single texts"):
        transfer.build(single, TransferSpec(unlabeled=(path,)))


def test_a_split_of_pairs_to_measure_on(tmp_path: Path) -> None:
    path = write(tmp_path / "test.csv", ["a", "b"], ["c", "d"], ["yes", "no"])
    _, split, task = labelled_split(str(path), ("no", "yes"))
    assert task.is_pair
    assert split.texts == [joined("a", "c"), joined("b", "d")]
    assert split.labels.tolist() == [1, 0]


# --- real data ----------------------------------------------------------------------------------------------------


@pytest.mark.skipif(not (SHARED / "stsb").is_dir(), reason="STS-B is not on this machine")
def test_stsb() -> None:
    spec = DataSpec(
        train=str(SHARED / "stsb" / "train.parquet"), text=("sentence1", "sentence2"), label=("score",)
    )
    found = data.load(spec, 0)
    assert (found.task.kind, found.task.label_names, found.task.is_pair) == ("regression", ("score",), True)
    assert all(text.count(SEPARATOR) == 1 for text in found.report.texts)
    assert found.facts.splits["report"].origin.endswith("share a run of words or a text.")
    assert len(found.report) > 500
    means = [found.facts.splits[name].values.mean for name in ("train", "selection", "report")]  # type: ignore[union-attr]
    assert max(means) - min(means) < 0.1
    assert not overlap(found.train.texts, found.report.texts).any()


@pytest.mark.skipif(not (SHARED / "mrpc").is_dir(), reason="MRPC is not on this machine")
def test_mrpc() -> None:
    spec = DataSpec(source=str(SHARED / "mrpc"), text=("sentence1", "sentence2"), label=("label",))
    found = data.load(spec, 0)
    assert (found.task.kind, found.task.label_names, found.task.is_pair) == ("single-label", ("0", "1"), True)
    assert (len(found.report), len(found.selection)) == (408, 366)
    assert not overlap(found.train.texts, found.selection.texts).any()
