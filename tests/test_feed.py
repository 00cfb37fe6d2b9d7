"""What a rung learns from: the transfer set as its model reads it, with its teachers' targets."""

from pathlib import Path

import numpy as np
import pytest
import torch

from stepdown import store
from stepdown.ladder import feed
from stepdown.ladder.feed import Feed
from stepdown.students import huggingface
from stepdown.students.model import TextModel, logits
from stepdown.targets import Labeller
from stepdown.tokens.words import Words
from stepdown.transfer import Pool, Transfer, TransferFacts
from tests.conftest import BAD, FILLER, GOOD, corpus, make_teacher


@pytest.fixture
def teacher(tmp_path: Path) -> Labeller:
    model = huggingface.load(make_teacher(tmp_path / "teacher"), ("no", "yes"), max_length=32).model
    return Labeller(model, "a teacher", torch.float32)


@pytest.fixture
def student() -> TextModel:
    words = Words((*GOOD, *BAD, *FILLER))
    return TextModel(torch.nn.Identity(), words, ("no", "yes"), 32, "compact", "reads words")


def gathered(labelled: int, others: int) -> Transfer:
    texts, named = corpus(labelled + 2, seed=1)
    texts, named = [*texts[:labelled], texts[0]], [*named[:labelled], named[1]]  # one text with two labels
    labels = np.array([name == "positive" for name in named], np.int64)
    return Transfer(texts, labels, Pool(corpus(others, seed=2)[0]), TransferFacts(labelled + 1, 0, ()))


def expected(transfer: Transfer, student: TextModel, teacher: Labeller) -> list[tuple[object, ...]]:
    texts = [*transfer]
    labels = [*transfer.labels.tolist(), *[-1] * len(transfer.pool)]
    said = logits(teacher.teacher, teacher.teacher.encode(texts))
    ids = [tuple(student.encode([text]).ids.tolist()) for text in texts]
    rounded = [tuple(np.round(row, 4).tolist()) for row in said]
    return sorted(zip(ids, labels, rounded, strict=True))


def found(feeding: Feed) -> list[tuple[object, ...]]:
    rows: list[tuple[object, ...]] = []
    for index, size in enumerate(feeding.sizes):
        part = feeding.part(index)
        assert len(part.tokens) == size
        tokens, (said,) = part.tokens, part.targets
        ids = [
            tuple(tokens.ids[start:end].tolist())
            for start, end in zip(tokens.offsets, tokens.offsets[1:], strict=False)
        ]
        rounded = [tuple(np.round(row, 4).tolist()) for row in said]
        rows += zip(ids, part.labels.tolist(), rounded, strict=True)
    return sorted(rows)


@pytest.mark.parametrize("others", [0, 300, 5000])
def test_a_text_keeps_its_ids_its_label_and_its_targets(
    teacher: Labeller, student: TextModel, others: int
) -> None:
    transfer = gathered(200, others)
    feeding = Feed(student, transfer, [teacher])
    assert feeding.sizes == (201 + others,)
    assert found(feeding) == expected(transfer, student, teacher)


def test_more_texts_than_fit_in_memory_come_in_parts(
    teacher: Labeller, student: TextModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feed, "_PART", 1)
    transfer = gathered(200, 5000)
    feeding = Feed(student, transfer, [teacher])
    assert feeding.sizes == (67 + 2048, 67 + 2048, 67 + 904)
    assert found(feeding) == expected(transfer, student, teacher)
    assert found(feeding) == found(feeding), "asked again, as in a second pass"


def test_each_text_is_labelled_once(
    teacher: Labeller, student: TextModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[tuple[int, int]] = []
    transfer = gathered(200, 5000)
    first = Feed(student, transfer, [teacher], progress=lambda done, total: told.append((done, total)))
    assert told == [(200, 5200), (2248, 5200), (4296, 5200), (5200, 5200)]
    with monkeypatch.context() as deaf:
        deaf.setattr("stepdown.targets.logits", None)
        again = Feed(student, transfer, [teacher])
        assert again.digests == first.digests
        assert found(again) == found(first)
        damaged = next(store.cache_dir().glob("targets/*/*.npy"))
        damaged.write_bytes(damaged.read_bytes()[:-1])
        with pytest.raises(TypeError):
            Feed(student, transfer, [teacher])
    assert Feed(student, transfer, [teacher]).digests == first.digests


def test_several_teachers_label_the_same_texts(teacher: Labeller, student: TextModel, tmp_path: Path) -> None:
    other = huggingface.load(make_teacher(tmp_path / "other"), ("no", "yes"), max_length=32, seed=5).model
    feeding = Feed(student, gathered(20, 30), [teacher, Labeller(other, "another", torch.float32)])
    targets = feeding.part(0).targets
    assert targets.shape == (2, 51, 2)
    assert not np.allclose(targets[0], targets[1])
    assert feeding.digests[0] != feeding.digests[1]
