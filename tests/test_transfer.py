"""The transfer set: what goes in, what is kept out, and how reviews are cut into sentences."""

import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from stepdown import data, transfer
from stepdown.data import Dataset
from stepdown.data.groups import overlap
from stepdown.data.hashing import Keys
from stepdown.errors import DataError
from stepdown.recipe import DataSpec, TransferSpec
from stepdown.tasks import SEPARATOR, joined, parts
from stepdown.transfer import build, near, sieve, views
from stepdown.transfer.near import Meaning
from stepdown.transfer.pairs import views_of_pairs

WORDS = [f"w{index}" for index in range(5000)]


def texts(count: int, seed: int, length: int = 10) -> list[str]:
    draw = np.random.default_rng(seed)
    return [" ".join(draw.choice(WORDS, length)) for _ in range(count)]


def write(
    path: Path, rows: Sequence[str], labels: Sequence[object] | None = None, column: str = "text"
) -> str:
    objects = [
        {column: text} | ({} if labels is None else {"label": labels[at]}) for at, text in enumerate(rows)
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in objects), encoding="utf-8")
    return str(path)


@pytest.fixture
def dataset(tmp_path: Path) -> Dataset:
    """100 labelled train texts, 3 without a label, 20 to select on and 20 to report on."""
    folder = tmp_path / "data"
    folder.mkdir()
    write(folder / "train.jsonl", texts(103, 0), [*([0, 1] * 50), None, None, None])
    write(folder / "validation.jsonl", texts(20, 1), [0, 1] * 10)
    write(folder / "test.jsonl", texts(20, 2), [0, 1] * 10)
    return data.load(DataSpec(source=str(folder), text=("text",), label=("label",)), 0)


def made(dataset: Dataset, *sources: str, **spec: Any) -> transfer.Transfer:
    return build(dataset, TransferSpec(unlabeled=sources, **spec))


def test_without_more_texts_it_is_train(dataset: Dataset) -> None:
    found = build(dataset, None)
    assert found.texts == dataset.train.texts
    assert found.labels.tolist() == dataset.train.labels.tolist()
    assert sorted(found.pool) == sorted(dataset.unlabeled)
    assert [*found] == [*found.texts, *found.pool]
    assert len(found) == 103
    assert found.facts.labelled == 100
    assert [source.kept for source in found.facts.sources] == [3]


def test_held_out_texts_and_repeats_are_kept_out(dataset: Dataset, tmp_path: Path) -> None:
    fresh = texts(5, 7)
    leaks = [dataset.report.texts[0].upper(), f"they say {dataset.selection.texts[1]} !"]
    repeats = [fresh[0], fresh[1].upper(), dataset.train.texts[0], dataset.unlabeled[0], "", "  "]
    path = write(tmp_path / "more.jsonl", [*fresh, *leaks, *repeats])
    found = made(dataset, path)
    assert set(found.pool) == {*fresh, *dataset.unlabeled}
    source = found.facts.sources[1]
    assert (source.texts, source.overlapping, source.repeated, source.kept) == (11, 2, 4, 5)
    assert not overlap([*found], dataset.report.texts + dataset.selection.texts).any()
    assert "2 that overlap held-out texts" in found.facts.as_text()
    assert json.loads(json.dumps(found.facts.as_dict()))["sources"][1]["kept"] == 5


def test_labelled_texts_that_share_words_with_a_given_split_stay_and_are_counted(
    dataset: Dataset, tmp_path: Path
) -> None:
    folder = tmp_path / "data"
    near = f"{dataset.report.texts[0]} and so on"
    write(folder / "train.jsonl", [*texts(100, 0), near], [*([0, 1] * 50), 0])
    again = data.load(DataSpec(source=str(folder), text=("text",), label=("label",)), 0)
    found = build(again, None)
    assert near in found.texts
    assert found.facts.overlapping == 1


def test_the_text_column_is_told_or_named(dataset: Dataset, tmp_path: Path) -> None:
    one = write(tmp_path / "one.jsonl", texts(4, 3), column="review")
    (tmp_path / "lines.txt").write_text("\n".join(texts(5, 4)))
    found = made(dataset, one, str(tmp_path / "lines.txt"))
    assert [source.kept for source in found.facts.sources] == [3, 4, 5]
    with pytest.raises(DataError, match=r"one\.jsonl: no column 'body'"):
        made(dataset, one, text=("body",))
    (tmp_path / "held").mkdir()
    write(tmp_path / "held" / "test.jsonl", texts(4, 3))
    with pytest.raises(DataError, match="held-out texts never serve"):
        made(dataset, str(tmp_path / "held"))


def test_a_limit_draws_a_sample_that_depends_on_texts_alone(dataset: Dataset, tmp_path: Path) -> None:
    many = texts(500, 5)
    first = write(tmp_path / "first.jsonl", many[:250])
    second = write(tmp_path / "second.jsonl", many[250:])
    found = made(dataset, first, second, max_texts=40)
    kept = set(found.pool) - set(dataset.unlabeled)
    assert len(kept) == 40
    assert sum(source.kept for source in found.facts.sources[1:]) == 40
    assert sum(source.not_drawn for source in found.facts.sources) == 460
    assert 5 < found.facts.sources[1].kept < 35
    assert [*made(dataset, second, first, max_texts=40)] == [*found]
    other = build(dataset, TransferSpec(unlabeled=(first, second), max_texts=40), seed=1)
    assert {*other} != {*found}
    assert len(made(dataset, first, max_texts=400)) == 103 + 250


def test_texts_without_labels_come_in_random_order_and_a_larger_limit_begins_with_a_smaller(
    dataset: Dataset, tmp_path: Path
) -> None:
    many = texts(3 * transfer.CHUNK, 5)
    path = write(tmp_path / "many.jsonl", many)
    dataset = replace(dataset, unlabeled=[])
    small, large = (made(dataset, path, max_texts=limit).pool for limit in (5000, 6000))
    assert [*large][:5000] == [*small]
    assert small.digests[:2] == large.digests[:2], "so these chunks are labelled once"
    place = {text: at for at, text in enumerate(many)}
    places = np.array([place[text] for text in large])
    assert abs(np.corrcoef(places, np.arange(len(places)))[0, 1]) < 0.1


def test_of_equal_texts_the_first_is_kept(dataset: Dataset, tmp_path: Path) -> None:
    plain = texts(300, 5)
    one = write(tmp_path / "one.jsonl", plain)
    two = write(tmp_path / "two.jsonl", [text.upper() for text in plain])
    found = made(dataset, one, two)
    assert set(found.pool) == {*plain, *dataset.unlabeled}
    assert [(source.kept, source.repeated) for source in found.facts.sources] == [(3, 0), (300, 0), (0, 300)]


def test_heaps_that_are_too_large_are_spread_again(
    dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = texts(300, 5)
    one = write(tmp_path / "one.jsonl", [*plain, *[plain[7]] * 50])
    two = write(tmp_path / "two.jsonl", [text.upper() for text in plain])
    whole = made(dataset, one, two, max_texts=200)
    held: list[int] = []
    by_rank = sieve._Heaps.by_rank

    def watched(heaps: sieve._Heaps) -> Iterator[tuple[Keys, list[int], list[str]]]:
        for found in by_rank(heaps):
            held.append(len(found[2]))
            yield found

    monkeypatch.setattr(sieve._Heaps, "by_rank", watched)
    monkeypatch.setattr(sieve, "_MOST_TEXTS", 2)
    small = made(dataset, one, two, max_texts=200)
    assert [*small] == [*whole]
    assert small.facts == whole.facts
    assert {*held} == {1, 2, 52}, "copies of one text stay together"


def test_any_text_comes_back_as_it_was() -> None:
    odd = ["\ud800 half a pair", "a\nline\u2028and\x00more", "\U0001f600", '"quoted" \\', "x" * 100_000]
    pool = transfer.Pool(odd * 1000)
    assert [*pool] == odd * 1000
    assert len(pool) == 5000
    assert len(pool.chunk(2)) == 5000 - 2 * transfer.CHUNK
    assert [*transfer.Pool([])] == []


def test_a_sample_stands_for_all(dataset: Dataset, tmp_path: Path) -> None:
    found = made(dataset, write(tmp_path / "many.jsonl", texts(900, 5)))
    some = found.sample(100)
    assert len(some) == 100
    assert 5 <= len(set(some) & set(found.texts)) <= 15
    assert some == found.sample(100)
    assert sorted(found.sample(5000)) == sorted(found)
    assert build(dataset, None).sample(10)


def _peak(code: str, *arguments: str) -> int:
    """Peak memory of a process that runs some code, in kilobytes."""
    resource = "import resource; print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)"
    done = subprocess.run(
        [sys.executable, "-c", f"{code}\n{resource}", *arguments], capture_output=True, text=True, check=True
    )
    return int(done.stdout)


def test_memory_does_not_grow_with_the_texts(tmp_path: Path) -> None:
    data_path = write(tmp_path / "data.jsonl", texts(200, 0), [0, 1] * 100)
    code = """
import sys
from stepdown import data, transfer
from stepdown.recipe import DataSpec, TransferSpec
dataset = data.load(DataSpec(source=sys.argv[1], text=("text",), label=("label",)), 0)
found = transfer.build(dataset, TransferSpec(unlabeled=(sys.argv[2],)))
assert len(found) > int(sys.argv[3])
assert sum(len(text) for text in found) > 0
"""
    peaks = []
    for count in (20_000, 400_000):
        path = tmp_path / f"{count}.txt"
        draw = np.random.default_rng(count)
        words = np.array(WORDS)
        with path.open("w") as file:
            for _ in range(count // 20_000):
                file.writelines(" ".join(row) + "\n" for row in words[draw.integers(0, 5000, (20_000, 12))])
        peaks.append(_peak(code, data_path, str(path), str(count - 1000)))
    # 380,000 more texts of 70 characters are 27 MB, and as Python's strings 46.
    assert peaks[1] - peaks[0] < 20_000


def test_sentences_of_a_source(dataset: Dataset, tmp_path: Path) -> None:
    one, two, leak = *texts(2, 8), dataset.report.texts[3]
    path = write(
        tmp_path / "reviews.jsonl",
        [f"{one}.<br /><br />Too short. {leak.capitalize()}. W{two}!", "W" + "w " * 70],
    )
    found = made(dataset, path, split_sentences=True)
    assert set(found.pool) == {f"{one}.", f"W{two}!", *dataset.unlabeled}
    source = found.facts.sources[1]
    assert (source.texts, source.sentences, source.length, source.overlapping) == (2, 5, 2, 1)


# --- views --------------------------------------------------------------------------------------------------------


def test_views_are_parts_and_mixtures_of_the_texts() -> None:
    texts = ["one two three four five six", "seven eight nine ten", "short one"]
    made = [*views(texts, 8, seed=0)]
    assert len(made) == 16, "texts of two words have no part"
    assert made == [*views(texts, 8, seed=0)]
    assert made != [*views(texts, 8, seed=1)]
    words = set(" ".join(texts).split())
    assert all(set(view.split()) <= words for view in made)
    # In turn: a part, words left out, words replaced, two parts joined.
    assert all(view in texts[0] for view in made[0:8:4])
    left = iter(texts[0].split())
    assert all(word in left for word in made[1].split()), "in their order"
    assert len(made[2].split()) == 6
    assert len(made[3].split()) >= 6


def test_views_are_cleaned_of_held_out_texts_and_counted(tmp_path: Path) -> None:
    rows = [
        {"text": f"alpha{i} beta{i} gamma{i} delta{i} {'good' if i % 2 else 'bad'}", "label": i % 2}
        for i in range(200)
    ]
    path = tmp_path / "data.jsonl"
    path.write_text("\n".join(json.dumps(row) for row in rows) + "\n", encoding="utf-8")
    dataset = data.load(DataSpec(source=str(path), text=("text",), label=("label",)), 0)
    made = build(dataset, TransferSpec(views=4))
    (source,) = made.facts.sources
    assert source.source == "views of train"
    assert source.texts == 4 * len(dataset.train)
    assert len(made) == len(dataset.train) + source.kept
    held_out = [*dataset.selection.texts, *dataset.report.texts]
    assert not {*made} & set(held_out)


def like(*groups: Sequence[str], known: Sequence[str] = ()) -> Meaning:
    """By its vectors words of one group are near each other, and no others are; it knows some words itself."""

    def vectors(words: Sequence[str]) -> NDArray[np.float32]:
        made = np.random.default_rng(0).normal(size=(len(words), 256)) * 0.01
        for at, word in enumerate(words):
            for place, group in enumerate(groups):
                if word in group:
                    made[at, place] += 1
        found: NDArray[np.float32] = (made / np.linalg.norm(made, axis=1, keepdims=True)).astype(np.float32)
        return found

    return Meaning(vectors, lambda: known)


def test_words_are_replaced_by_their_neighbours_and_marks_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(near, "NEAREST", 1)
    texts = ['He said "good film", twice!'] * 40 + ["great", "movie", "often"]
    alike = like(("good", "great"), ("film", "movie"), ("twice", "often"), ("He", "said"))
    assert near.Space(texts, alike).neighbours()["movie"] == ["film"]
    made = [*views(texts, 4, seed=0, meaning=alike)]
    assert set(" ".join(made).split()) - set(texts[0].split()) == {'"great', 'movie",', "often!"}


def test_neighbours_may_be_words_that_no_text_of_the_task_has(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(near, "NEAREST", 2)
    texts = ["from Paris to Rome"] * 8
    meaning = like(("Paris", "Rome", "Oslo"), ("from", "to"), known=["paris", "Oslo", "Oslo", "never"])
    assert set(near.Space(texts, meaning).neighbours()["Paris"]) == {"Rome", "Oslo"}, (
        "not itself in lower case"
    )
    assert {*near.Space(texts, meaning).neighbours()} == {"from", "Paris", "to", "Rome"}
    assert any("Oslo" in view for view in views(texts, 4, seed=0, meaning=meaning))
    monkeypatch.setattr(near, "_MOST_WORDS", 4)
    assert "Oslo" not in near.Space(texts, meaning).neighbours()["Paris"], "those of the task come first"


def test_a_word_without_neighbours_is_replaced_by_any() -> None:
    made = [*views(["one two three four"] * 40, 4, seed=0)]
    assert {word for view in made for word in view.split()} == {"one", "two", "three", "four"}
    assert any(view.endswith("one") for view in made), "in other places, too"


def test_only_frequent_words_have_vectors(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(near, "_MOST_WORDS", 2)
    space = near.Space(["rare b a", "b a", "b", "other"], like(("a", "b")))
    assert space.neighbours() == {"a": ["b"], "b": ["a"]}
    assert space.of(["rare", "", "rare a"]).any(1).tolist() == [False, False, True]


def test_of_equally_frequent_words_the_first_have_vectors(monkeypatch: pytest.MonkeyPatch) -> None:
    """Words of a text are counted as a set, which every process has in another order."""
    monkeypatch.setattr(near, "_MOST_WORDS", 4)
    words = [f"word{letter}" for letter in "zyxwvutsrqponmlkjihgfedcba"]
    found = near.Space([" ".join(words)] * 2, like(tuple(words)))
    assert set(found.neighbours()) == set(sorted(words)[:4])


# --- views of pairs -----------------------------------------------------------------------------------------------


def numbered(side: str, count: int = 24) -> list[str]:
    """Texts of five words each, which no other text has."""
    return [" ".join(f"{side}{at}{letter}" for letter in "vwxyz") for at in range(count)]


FIRST, SECOND = numbered("f"), numbered("s")
PAIRS = [*map(joined, FIRST, SECOND)]


def test_views_of_pairs_are_other_partners_and_views_of_their_texts() -> None:
    made = [*views_of_pairs(PAIRS, 4, seed=0)]
    assert len(made) == 4 * len(PAIRS)
    assert made == [*views_of_pairs(PAIRS, 4, seed=0)]
    assert made != [*views_of_pairs(PAIRS, 4, seed=1)]
    first, second = zip(*map(parts, made), strict=True)
    partners = [at for at, pair in enumerate(made) if first[at] in FIRST and second[at] in SECOND]
    # Half of them are texts of train with other partners; a view may happen to be the whole text.
    assert len(partners) in range(48, 56)
    others = [at for at in range(len(made)) if at not in partners]
    itself = [at for at in others if shared(first[at], second[at])]
    assert len(itself) in range(18, 30)
    # What a view is of stays on its side, and so does the text beside a view.
    for at in others:
        assert (first[at] in FIRST) != (second[at] in SECOND)
    changed = [at for at in others if at not in itself]
    assert {first[at] in FIRST for at in changed} == {first[at] in FIRST for at in itself} == {True, False}
    for at in changed:
        of = FIRST.index(first[at]) if first[at] in FIRST else SECOND.index(second[at])
        assert shared(first[at] + " " + second[at], PAIRS[of].replace(SEPARATOR, " ")) > 5


def shared(one: str, other: str) -> int:
    return len({*one.split()} & {*other.split()})


def test_partners_are_near_where_the_teacher_tells_what_is_near(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(near, "NEAREST", 2)
    # Of three texts each, all words are alike.
    groups = [
        [word for at in range(start, start + 3) for word in (FIRST[at] + " " + SECOND[at]).split()]
        for start in range(0, 24, 3)
    ]
    space = near.Space([*FIRST, *SECOND], like(*groups))
    found = near.Partners(space, (FIRST, SECOND), np.random.default_rng(0))
    for side, texts in enumerate((FIRST, SECOND)):
        for at, others in enumerate(found.nearest(texts, 1 - side)):
            assert len(others) == 2
            assert all((FIRST, SECOND)[1 - side].index(other) // 3 == at // 3 for other in others)
    assert found.nearest(["", "unknown"], 0) == [[], []]
    made = [*map(parts, views_of_pairs(PAIRS, 12, seed=0, meaning=like(*groups)))]
    partners = [(FIRST.index(a), SECOND.index(b)) for a, b in made if a in FIRST and b in SECOND and a != b]
    together = sum(one // 3 == other // 3 for one, other in partners if one != other)
    assert together in range(4 * 24, 4 * 24 + 16), "a third of all, and a few by chance"


def test_few_texts_serve_as_near_ones_where_there_are_very_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(near, "_MOST_TEXTS", 5)
    monkeypatch.setattr(near, "NEAREST", 5)
    space = near.Space([*FIRST, *SECOND], like())
    found = near.Partners(space, (FIRST, SECOND), np.random.default_rng(0)).nearest(FIRST, 1)
    assert len({text for others in found for text in others}) == 5


def test_texts_too_short_for_views_have_other_partners() -> None:
    pairs = [joined(f"f{at}", f"s{at}") for at in range(20)]
    made = [*map(parts, views_of_pairs(pairs, 6, seed=0))]
    assert len(made) == 120
    assert all(first[0] == "f" and second[0] == "s" for first, second in made)
    # Of a blank text and a long one, views are of the long one.
    made = [*map(parts, views_of_pairs([joined("", SECOND[0])], 12, seed=0, meaning=like()))]
    assert {*made} > {("", SECOND[0])}
    assert all(shared(second, SECOND[0]) for _, second in made)
    assert [*views_of_pairs([], 3, seed=0)] == []


@pytest.mark.parametrize("spec", [{"task": "regression"}, {"task": "single-label"}, {"task": "multi-label"}])
def test_views_of_pairs_are_cleaned_of_held_out_texts_and_counted(
    spec: dict[str, Any], tmp_path: Path
) -> None:
    first, second = numbered("f", 300), numbered("s", 300)
    first[:150] = [text + " good day" for text in first[:150]]
    path = tmp_path / "data.jsonl"
    rows = [
        {"a": one, "b": two, "label": [str(at % 2)] if spec["task"] == "multi-label" else at % 2}
        for at, (one, two) in enumerate(zip(first, second, strict=True))
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    dataset = data.load(DataSpec(source=str(path), text=("a", "b"), label=("label",), **spec), 0)
    made = build(dataset, TransferSpec(views=4))
    (source,) = made.facts.sources
    assert source.source == "views of train"
    assert source.texts == 4 * len(dataset.train)
    assert source.kept + source.repeated == source.texts
    assert len(made) == len(dataset.train) + source.kept
    assert len({*made}) == len(made)
    # A held-out text among those of train, in another pair, is found in the views.
    leaking = replace(
        dataset, report=replace(dataset.report, texts=[joined("x", parts(dataset.train.texts[0])[1])])
    )
    (found,) = build(leaking, TransferSpec(views=4)).facts.sources
    assert found.overlapping > 0
