"""What a rung learns from: the transfer set as its model reads it, with its teachers' targets."""

from pathlib import Path

import numpy as np
import pytest
import torch

from stepdown import store
from stepdown.ladder import feed
from stepdown.ladder.feed import Feed
from stepdown.students import huggingface, transformer
from stepdown.students.hints import reduction
from stepdown.students.model import TextModel, logits
from stepdown.targets import ModelLabeller
from stepdown.tokens.words import Words
from stepdown.transfer import Pool, Transfer, TransferFacts
from tests.conftest import BAD, FILLER, GOOD, corpus, make_teacher


@pytest.fixture
def teacher(tmp_path: Path) -> ModelLabeller:
    model = huggingface.load(make_teacher(tmp_path / "teacher"), ("no", "yes"), max_length=32).model
    return ModelLabeller(model, "a teacher", torch.float32)


@pytest.fixture
def student() -> TextModel:
    words = Words((*GOOD, *BAD, *FILLER))
    return TextModel(torch.nn.Identity(), words, ("no", "yes"), 32, "compact", "reads words")


def gathered(labelled: int, others: int) -> Transfer:
    texts, named = corpus(labelled + 2, seed=1)
    texts, named = [*texts[:labelled], texts[0]], [*named[:labelled], named[1]]  # one text with two labels
    labels = np.array([name == "positive" for name in named], np.int64)
    return Transfer(texts, labels, Pool(corpus(others, seed=2)[0]), TransferFacts(labelled + 1, 0, ()))


def expected(transfer: Transfer, student: TextModel, teacher: ModelLabeller) -> list[tuple[object, ...]]:
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
    teacher: ModelLabeller, student: TextModel, others: int
) -> None:
    transfer = gathered(200, others)
    feeding = Feed(student, transfer, [teacher])
    assert feeding.sizes == (201 + others,)
    assert found(feeding) == expected(transfer, student, teacher)


def test_more_texts_than_fit_in_memory_come_in_parts(
    teacher: ModelLabeller, student: TextModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feed, "_PART", 1)
    transfer = gathered(200, 5000)
    feeding = Feed(student, transfer, [teacher])
    assert feeding.sizes == (67 + 2048, 67 + 2048, 67 + 904)
    assert found(feeding) == expected(transfer, student, teacher)
    assert found(feeding) == found(feeding), "asked again, as in a second pass"


def test_each_text_is_labelled_once(
    teacher: ModelLabeller, student: TextModel, monkeypatch: pytest.MonkeyPatch
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


def test_several_teachers_label_the_same_texts(
    teacher: ModelLabeller, student: TextModel, tmp_path: Path
) -> None:
    other = huggingface.load(make_teacher(tmp_path / "other"), ("no", "yes"), max_length=32, seed=5).model
    feeding = Feed(student, gathered(20, 30), [teacher, ModelLabeller(other, "another", torch.float32)])
    targets = feeding.part(0).targets
    assert targets.shape == (2, 51, 2)
    assert not np.allclose(targets[0], targets[1])
    assert feeding.digests[0] != feeding.digests[1]


def hidden(teacher: ModelLabeller, text: str) -> np.ndarray:
    """The mean state of the lower of two layers over a text, by hand."""
    encoder = transformer.encoder(teacher.teacher)
    ids = torch.tensor(teacher.teacher.encode([text]).ids)[None]
    with torch.inference_mode():
        states = encoder.eval()(input_ids=ids, output_hidden_states=True).hidden_states[1]
    return np.asarray(states[0].mean(0))


@pytest.mark.parametrize("part", [128, 1])
def test_hints_come_with_the_targets_in_one_pass(
    teacher: ModelLabeller, student: TextModel, monkeypatch: pytest.MonkeyPatch, part: int
) -> None:
    monkeypatch.setattr(feed, "_PART", part)
    transfer = gathered(200, 2500)
    passes = []
    real = transformer.HuggingFaceNetwork.forward
    monkeypatch.setattr(
        transformer.HuggingFaceNetwork,
        "forward",
        lambda self, ids, lengths: passes.append(len(ids)) or real(self, ids, lengths),
    )
    feeding = Feed(student, transfer, [teacher], hints_of=teacher)
    assert sum(passes) == 200 + 2500, "each text is read once, for its logits and its states"
    assert found(feeding) == expected(transfer, student, teacher)
    assert feeding.hint_size == 32
    passes.clear()
    again = Feed(student, transfer, [teacher], hints_of=teacher)
    assert passes == []
    hints = [again.part(index).hints for index in range(len(again.sizes))]
    for one, index in zip(hints, range(len(again.sizes)), strict=True):
        assert one is not None
        assert np.array_equal(one, feeding.part(index).hints)
    # Distances between texts are those between their states, up to one scale: a rotation, as no column is left out.
    assert hints[0] is not None
    rows = [0, 1 if part == 128 else 2]
    texts = [transfer.texts[0], transfer.texts[rows[1]], transfer.texts[rows[1] * 2]]
    states = np.stack([hidden(teacher, text) for text in texts])
    some = hints[0][:3].astype(np.float64)
    ratio = np.linalg.norm(some[1:] - some[0], axis=1) / np.linalg.norm(states[1:] - states[0], axis=1)
    assert ratio[0] == pytest.approx(ratio[1], rel=0.01)
    assert np.mean(
        np.concatenate([one for one in hints if one is not None]).astype(float) ** 2
    ) == pytest.approx(1.0, rel=0.1)
    assert Feed(student, transfer, [teacher]).part(0).hints is None


def test_states_are_kept_to_their_principal_components() -> None:
    draw = np.random.default_rng(0)
    wide = draw.normal(size=(500, 2)) @ draw.normal(size=(2, 40)) + 0.01 * draw.normal(size=(500, 40)) + 7.0
    reduce = reduction(wide.astype(np.float16), most=2)
    assert reduce.size == 2
    hints = reduce(wide.astype(np.float16)).astype(float)
    assert np.mean(hints**2) == pytest.approx(1.0, rel=0.02)
    assert abs(np.corrcoef(hints.T)[0, 1]) < 0.05
    assert hints[:, 0].var() > hints[:, 1].var()
