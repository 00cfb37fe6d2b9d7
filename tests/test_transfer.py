"""The transfer set: what goes in, what is kept out, and how reviews are cut into sentences."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from stepdown import data, transfer
from stepdown.data import Dataset
from stepdown.data.groups import overlap
from stepdown.errors import DataError
from stepdown.recipe import DataSpec, TransferSpec
from stepdown.transfer import build, views

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
    assert found.texts == [*dataset.train.texts, *dataset.unlabeled]
    assert found.labels.tolist() == [*dataset.train.labels.tolist(), -1, -1, -1]
    assert found.facts.labelled == 100
    assert [source.kept for source in found.facts.sources] == [3]


def test_held_out_texts_and_repeats_are_kept_out(dataset: Dataset, tmp_path: Path) -> None:
    fresh = texts(5, 7)
    leaks = [dataset.report.texts[0].upper(), f"they say {dataset.selection.texts[1]} !"]
    repeats = [fresh[0], fresh[1].upper(), dataset.train.texts[0], dataset.unlabeled[0], "", "  "]
    path = write(tmp_path / "more.jsonl", [*fresh, *leaks, *repeats])
    found = made(dataset, path)
    assert found.texts[103:] == fresh
    source = found.facts.sources[1]
    assert (source.texts, source.overlapping, source.repeated, source.kept) == (11, 2, 4, 5)
    assert not overlap(found.texts, dataset.report.texts + dataset.selection.texts).any()
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
    kept = found.texts[103:]
    assert len(kept) == 40
    assert kept == [text for text in many if text in set(kept)]
    assert sum(source.kept for source in found.facts.sources[1:]) == 40
    assert sum(source.not_drawn for source in found.facts.sources) == 460
    assert 5 < found.facts.sources[1].kept < 35
    assert set(made(dataset, second, first, max_texts=40).texts) == set(found.texts)
    other = build(dataset, TransferSpec(unlabeled=(first, second), max_texts=40), seed=1)
    assert set(other.texts) != set(found.texts)
    assert len(made(dataset, first, max_texts=400).texts) == 103 + 250


def test_memory_is_bounded_by_the_sample(dataset: Dataset) -> None:
    from stepdown.data.groups import Index, words

    sieve = transfer.Sieve(Index(words(dataset.report.texts)), set(), most=10)
    sieve.pour("made up", ([text] for text in texts(200, 6)))
    assert len(sieve._texts) <= 20
    assert len(sieve.texts()) == 10


def test_sentences_of_a_source(dataset: Dataset, tmp_path: Path) -> None:
    one, two, leak = *texts(2, 8), dataset.report.texts[3]
    path = write(
        tmp_path / "reviews.jsonl",
        [f"{one}.<br /><br />Too short. {leak.capitalize()}. W{two}!", "W" + "w " * 70],
    )
    found = made(dataset, path, split_sentences=True)
    assert found.texts[103:] == [f"{one}.", f"W{two}!"]
    source = found.facts.sources[1]
    assert (source.texts, source.sentences, source.length, source.overlapping) == (2, 5, 2, 1)


# --- views --------------------------------------------------------------------------------------------------------


def test_views_are_parts_and_mixtures_of_the_texts() -> None:
    texts = ["one two three four five six", "seven eight nine ten", "short one"]
    made = views(texts, 8, seed=0)
    assert len(made) == 16, "texts of two words have no part"
    assert made == views(texts, 8, seed=0)
    assert made != views(texts, 8, seed=1)
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
    assert len(made.texts) == len(dataset.train) + source.kept
    assert (made.labels[len(dataset.train) :] == -1).all()
    held_out = [*dataset.selection.texts, *dataset.report.texts]
    assert not set(made.texts) & set(held_out)
