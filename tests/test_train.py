import copy
from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
import torch
from accelerate import Accelerator
from torch import Tensor

from stepdown import train
from stepdown.objectives import Objective
from stepdown.students import huggingface
from stepdown.students.compact import CompactNetwork, shape_for
from stepdown.students.model import TextModel, logits
from stepdown.tokens.words import UNKNOWN, Words
from tests.conftest import make_teacher

GOOD, BAD = ("good", "fine", "great"), ("bad", "dull", "poor")
FILLER = tuple(f"word{index}" for index in range(40))


def corpus(n: int, seed: int = 0) -> tuple[list[str], np.ndarray]:
    """Texts whose label is in one word of theirs."""
    draw = np.random.default_rng(seed)
    labels = draw.integers(0, 2, n)
    texts = []
    for label in labels:
        words = list(draw.choice(FILLER, draw.integers(2, 12)))
        words.insert(draw.integers(0, len(words)), draw.choice(GOOD if label else BAD))
        texts.append(" ".join(words))
    return texts, labels.astype(np.int64)


def fresh() -> TextModel:
    words = Words((*GOOD, *BAD, *FILLER))
    shape = shape_for(12_000, words.vocab_size, 2)
    torch.manual_seed(1)
    return TextModel(CompactNetwork(shape), words, ("no", "yes"), 32, "compact", shape.describe())


def examples(model: TextModel, n: int = 200, targets: np.ndarray | None = None) -> train.Examples:
    texts, labels = corpus(n)
    return train.Examples(
        model.encode(texts), labels, np.zeros((0, n, 2), np.float32) if targets is None else targets
    )


HARD = Objective(soft_weight=0.0, hard_weight=1.0)
SCHEDULE = train.Schedule(epochs=4, batch_size=16, learning_rate=5e-3, seed=3)


def run(
    model: TextModel, given: train.Examples, objective: Objective, schedule: train.Schedule
) -> list[float]:
    events = train.fit(model, given, objective, schedule, accelerator=Accelerator(cpu=True))
    return [event.loss for event in events if isinstance(event, train.Step)]


@pytest.mark.parametrize("ema", [None, 0.9])
def test_it_learns_from_hard_labels(ema: float | None) -> None:
    model = fresh()
    run(model, examples(model), HARD, train.Schedule(8, 16, 5e-3, ema=ema))
    texts, labels = corpus(300, seed=9)
    assert (logits(model, model.encode(texts)).argmax(1) == labels).mean() > 0.9


@pytest.mark.parametrize("loss", ["kl", "mse"])
def test_it_learns_from_soft_labels_alone(loss: str) -> None:
    model = fresh()
    texts, labels = corpus(200)
    margin = np.where(labels == 1, 3.0, -3.0).astype(np.float32)
    targets = np.stack([-margin / 2, margin / 2], 1)[None]
    given = train.Examples(model.encode(texts), np.full(200, -1, np.int64), targets)
    objective = Objective(soft_weight=1.0, hard_weight=0.0, loss=loss)  # type: ignore[arg-type]
    run(model, given, objective, train.Schedule(8, 16, 5e-3))
    held_out, gold = corpus(300, seed=9)
    assert (logits(model, model.encode(held_out)).argmax(1) == gold).mean() > 0.9


def test_accumulation_changes_neither_loss_nor_weights() -> None:
    outcomes = []
    for accumulate in (1, 4, 16):
        model = fresh()
        schedule = train.Schedule(1, 16, 1e-3, accumulate=accumulate, seed=3)
        # 200 texts: the last batch is short, and is not divided evenly either.
        losses = run(model, examples(model), HARD, schedule)
        outcomes.append((losses, torch.cat([p.detach().flatten() for p in model.network.parameters()])))
    for losses, weights in outcomes[1:]:
        assert np.allclose(losses, outcomes[0][0], atol=1e-5)
        assert torch.allclose(weights, outcomes[0][1], atol=2e-4)


def test_a_seed_decides_everything() -> None:
    first, second, other = fresh(), fresh(), fresh()
    assert run(first, examples(first), HARD, SCHEDULE) == run(second, examples(second), HARD, SCHEDULE)
    for a, b in zip(first.network.parameters(), second.network.parameters(), strict=True):
        assert torch.equal(a, b)
    different = train.Schedule(4, 16, 5e-3, seed=4)
    assert (
        run(other, examples(other), HARD, different)[0] != run(fresh(), examples(fresh()), HARD, SCHEDULE)[0]
    )


def test_training_leaves_the_callers_random_numbers_alone() -> None:
    model = fresh()
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    run(model, examples(model), HARD, SCHEDULE)
    assert torch.equal(torch.rand(3), expected)


def test_whoever_watches_the_training_has_random_numbers_of_its_own(tmp_path: Path) -> None:
    """With dropout, so that the training draws too."""
    folder = make_teacher(tmp_path / "teacher", hidden_dropout_prob=0.5)

    def trained(*, watched: bool) -> tuple[Tensor, list[Tensor]]:
        model = huggingface.load(folder, ("no", "yes"), max_length=32, seed=0).model
        torch.manual_seed(5)
        drawn = []
        for _ in train.fit(model, examples(model, 64), HARD, SCHEDULE, accelerator=Accelerator(cpu=True)):
            if watched:
                drawn.append(torch.rand(1))
        return torch.cat([parameter.flatten() for parameter in model.network.parameters()]), drawn

    alone, _ = trained(watched=False)
    watched, drawn = trained(watched=True)
    assert torch.equal(alone, watched)
    torch.manual_seed(5)
    assert torch.equal(torch.cat(drawn), torch.rand(len(drawn)))


def test_every_text_is_seen_once_an_epoch() -> None:
    lengths = np.random.default_rng(0).integers(1, 60, 1234)
    batches = train.batches(lengths, 16, np.random.default_rng(1))
    assert sorted(np.concatenate(batches).tolist()) == list(range(1234))
    waste = sum(len(b) * lengths[b].max() for b in batches) / lengths.sum()
    assert waste < 1.1  # nearly equal lengths: little padding


def test_the_average_of_weights_is_what_an_epoch_shows() -> None:
    model = fresh()
    seen = []
    schedule = train.Schedule(3, 16, 5e-3, ema=0.9, seed=3)
    for event in train.fit(model, examples(model), HARD, schedule, accelerator=Accelerator(cpu=True)):
        if isinstance(event, train.Epoch):
            seen.append(copy.deepcopy(model.network.state_dict()))
    final = model.network.state_dict()
    assert all(torch.equal(seen[-1][name], final[name]) for name in final)
    assert not torch.equal(seen[0]["output.weight"], seen[1]["output.weight"])


def test_several_teachers_count_by_their_mean() -> None:
    model = fresh()
    one = np.random.default_rng(0).normal(size=(1, 200, 2)).astype(np.float32)
    twice = np.concatenate([one, one])
    soft = Objective(1.0, 0.0, "mse")
    again = fresh()
    losses = run(model, examples(model, targets=one), soft, SCHEDULE)
    assert np.allclose(losses, run(again, examples(again, targets=twice), soft, SCHEDULE), rtol=1e-4)


def alike(one: TextModel, other: TextModel) -> bool:
    """Whether the weights are the same, but for the attention's bias: softmax does not see it, so that its gradient is
    what rounding leaves, and AdamW makes whole steps of that."""
    theirs = other.network.state_dict()
    return all(
        torch.allclose(value, theirs[name], atol=2e-3)
        for name, value in one.network.state_dict().items()
        if name != "attention.bias"
    )


@pytest.mark.parametrize("loss", ["kl", "mse"])
def test_learning_from_two_teachers_is_learning_from_their_mean(loss: Literal["kl", "mse"]) -> None:
    """Every update is the same, and by hand: the mean of the margins, or the logarithm of the mean probabilities."""
    draw = np.random.default_rng(0)
    two = draw.normal(size=(2, 200, 2)).astype(np.float32)
    if loss == "mse":
        margin = (two[:, :, 1] - two[:, :, 0]).mean(0)
        mean = np.stack([-margin / 2, margin / 2], 1)
    else:
        share = np.exp(two) / np.exp(two).sum(-1, keepdims=True)
        mean = np.log(share.mean(0))
    soft = Objective(1.0, 0.0, loss)
    one, other, lopsided = fresh(), fresh(), fresh()
    run(one, examples(one, targets=two), soft, SCHEDULE)
    run(other, examples(other, targets=mean[None]), soft, SCHEDULE)
    assert alike(one, other)
    run(lopsided, examples(lopsided, targets=two), replace(soft, teacher_weights=(1.0, 0.0)), SCHEDULE)
    first = fresh()
    run(first, examples(first, targets=two[:1]), soft, SCHEDULE)
    assert alike(lopsided, first)
    assert not torch.allclose(one.network.output.weight, first.network.output.weight, atol=2e-2)


def test_hints_are_learnt_beside_and_leave_nothing_behind() -> None:
    """Hints tell of a word's presence, which no label does; the features of the student come to tell of it too."""
    texts, _ = corpus(200)
    hints = np.array([[2.0 * (f"word{word}" in text.split()) - 1 for word in range(3)] for text in texts])
    plain, guided = fresh(), fresh()
    given = replace(examples(plain), hints=hints.astype(np.float16))
    schedule = train.Schedule(8, 16, 5e-3, seed=3)
    alone = run(plain, examples(plain), HARD, schedule)
    ignored = fresh()
    assert run(ignored, given, HARD, schedule) == alone, "hints without a weight change nothing"
    hinted = replace(HARD, hint_weight=1.0, hint_size=3)
    losses = run(guided, given, hinted, schedule)
    assert np.mean(losses[:5]) > np.mean(alone[:5]) + 0.5
    assert np.mean(losses[-5:]) < 0.7 * np.mean(losses[:5])
    assert list(guided.network.state_dict()) == list(plain.network.state_dict())
    assert guided.parameters == plain.parameters
    assert not guided.network.output._forward_pre_hooks
    left = [_unexplained(model, given) for model in (plain, guided)]
    assert left[1] < 0.6 * left[0]


def _unexplained(model: TextModel, given: train.Examples) -> float:
    """Share of the hints that a linear map of the student's features cannot explain, by ridge regression."""
    seen: list[torch.Tensor] = []
    hook = model.network.output.register_forward_pre_hook(lambda module, args: seen.append(args[0]))
    ids, lengths = given.tokens.pad(np.arange(len(given.tokens)), 0)
    with torch.inference_mode():
        model.network(torch.from_numpy(ids), torch.from_numpy(lengths))
    hook.remove()
    features = seen[0].double().numpy()
    features = np.hstack([features - features.mean(0), np.ones((len(features), 1))])
    assert given.hints is not None
    hints = given.hints.astype(np.float64)
    weights = np.linalg.solve(features.T @ features + 0.1 * np.eye(features.shape[1]), features.T @ hints)
    return float(((hints - features @ weights) ** 2).mean() / hints.var())


def test_a_last_phase_on_labels_moves_towards_them() -> None:
    """The teacher says the opposite of the labels: what comes last prevails, from where the first phase ended."""
    model = fresh()
    labels = corpus(200)[1]
    wrong = np.where(labels == 1, -3.0, 3.0).astype(np.float32)
    taught = examples(model, targets=np.stack([-wrong / 2, wrong / 2], 1)[None])
    soft = Objective(1.0, 0.0, "mse")
    first = train.Phase(taught, soft, train.Schedule(6, 16, 5e-3, ema=0.9))
    last = train.Phase(examples(model), HARD, train.Schedule(8, 20, 5e-3, ema=0.9))
    accuracies = []
    events = []
    for event in train.fit_in_phases(model, [first, last], accelerator=Accelerator(cpu=True)):
        events.append(event)
        if isinstance(event, train.Epoch):
            accuracies.append(float((logits(model, taught.tokens).argmax(1) == labels).mean()))
    assert accuracies[5] < 0.1
    assert accuracies[-1] > 0.9
    steps = [event for event in events if isinstance(event, train.Step)]
    assert [step.done for step in steps] == list(range(1, 6 * 13 + 8 * 10 + 1))
    assert {step.total for step in steps} == {len(steps)}
    assert [(e.done, e.total) for e in events if isinstance(e, train.Epoch)] == [
        (n, 14) for n in range(1, 15)
    ]
    # The average begins anew: no weight of the first phase's training is left in it, only its result as the start.
    alone = fresh()
    run(alone, taught, soft, first.schedule)
    run(alone, last.parts, HARD, last.schedule)  # type: ignore[arg-type]
    for a, b in zip(model.network.parameters(), alone.network.parameters(), strict=True):
        assert torch.equal(a, b)


def test_one_phase_is_one_training() -> None:
    one, other = fresh(), fresh()
    phase = train.Phase(examples(one), HARD, SCHEDULE)
    events = list(train.fit_in_phases(one, [phase], accelerator=Accelerator(cpu=True)))
    assert events == list(train.fit(other, phase.parts, HARD, SCHEDULE, accelerator=Accelerator(cpu=True)))


def test_training_may_stop_within_a_pass() -> None:
    """13 updates a pass; what is left is as if the second pass ended there."""
    model = fresh()
    schedule = replace(SCHEDULE, most_updates=20)
    events = list(train.fit(model, examples(model), HARD, schedule, accelerator=Accelerator(cpu=True)))
    steps = [event for event in events if isinstance(event, train.Step)]
    assert [event.done for event in steps] == list(range(1, 21))
    assert {event.total for event in steps} == {20}
    passes = [event for event in events if isinstance(event, train.Epoch)]
    assert [event.loss for event in passes] == [
        float(np.mean([event.loss for event in some])) for some in (steps[:13], steps[13:])
    ]
    assert isinstance(events[-1], train.Epoch)
    assert not model.network.training


def test_a_rate_that_falls_on_a_line_reaches_nothing_after_the_last_update() -> None:
    line = replace(SCHEDULE, warmup=0.2, decay="linear")
    rates = [train._rate(done, 10, line) for done in range(11)]
    assert rates == pytest.approx([0.5, 1, *(np.arange(8, -1, -1) / 8)])


def test_what_starts_at_random_learns_faster(tmp_path: Path) -> None:
    """The head of an encoder that has none; everything else moves at the schedule's own rate."""
    found = huggingface.load(make_teacher(tmp_path / "encoder"), ["a", "b", "c"], max_length=32)
    assert found.model.fresh == {"classifier.classifier.weight", "classifier.classifier.bias"}
    groups = train._groups(found.model, SCHEDULE)
    names = {id(p): name for name, p in found.model.network.named_parameters()}
    peaks = {names[id(p)]: group["peak"] for group in groups for p in group["params"]}
    assert set(peaks) == set(names.values())
    assert {name for name, peak in peaks.items() if peak == 10 * SCHEDULE.learning_rate} == found.model.fresh
    assert {peak for name, peak in peaks.items() if name not in found.model.fresh} == {SCHEDULE.learning_rate}


class _InParts:
    """Examples in several parts, which are made anew each time they are asked for."""

    def __init__(self, whole: train.Examples, parts: int) -> None:
        self._rows = [np.arange(index, len(whole.tokens), parts) for index in range(parts)]
        self._whole = whole
        self.asked: list[int] = []
        self.sizes = tuple(map(len, self._rows))

    def part(self, index: int) -> train.Examples:
        self.asked.append(index)
        rows = self._rows[index]
        return train.Examples(
            self._whole.tokens.take(rows), self._whole.labels[rows], self._whole.targets[:, rows]
        )


def test_examples_in_parts_are_all_learnt_from() -> None:
    model = fresh()
    parts = _InParts(examples(model, 250), 3)
    events = list(
        train.fit(model, parts, HARD, train.Schedule(8, 16, 5e-3, seed=3), accelerator=Accelerator(cpu=True))
    )
    steps = [event for event in events if isinstance(event, train.Step)]
    assert len(steps) == steps[-1].total == 8 * sum(-(-size // 16) for size in (84, 83, 83))
    assert all(sorted(parts.asked[at : at + 3]) == [0, 1, 2] for at in range(0, 24, 3))
    assert len({tuple(parts.asked[at : at + 3]) for at in range(0, 24, 3)}) > 1, "in another order each time"
    texts, labels = corpus(300, seed=9)
    assert (logits(model, model.encode(texts)).argmax(1) == labels).mean() > 0.9


def test_dropped_words_are_read_as_unknown_ones_and_padding_stays() -> None:
    model = fresh()
    tokens = model.encode(corpus(300)[0])
    rows = np.arange(300)
    plain, lengths = train._read(model, tokens, rows, 0.0)
    torch.manual_seed(0)
    dropped, same = train._read(model, tokens, rows, 0.25)
    assert torch.equal(lengths, same)
    assert set(dropped[dropped != plain].tolist()) == {UNKNOWN}
    inside = torch.arange(plain.shape[1]) < lengths[:, None]
    assert torch.equal(dropped[~inside], plain[~inside])
    share = (dropped != plain).sum() / inside.sum()
    assert 0.2 < float(share) < 0.3


@pytest.mark.parametrize("rate", [0.0, 0.1, 1.0])
def test_embeddings_learn_at_a_rate_of_their_own(rate: float) -> None:
    model = fresh()
    before = {name: weight.detach().clone() for name, weight in model.network.named_parameters()}
    run(model, examples(model), HARD, train.Schedule(1, 64, 1e-3, weight_decay=0, embedding_rate=rate))
    moved = {
        n: float((weight.detach() - before[n]).abs().max()) for n, weight in model.network.named_parameters()
    }
    tables = max(far for name, far in moved.items() if name.startswith("tables."))
    others = max(far for name, far in moved.items() if not name.startswith("tables."))
    assert others > 0
    assert tables == 0 if rate == 0 else rate / 2 < tables / others < rate * 2


def test_word_dropout_is_drawn_anew_in_training_and_off_afterwards() -> None:
    losses = []
    for share in (0.0, 0.5):
        model = fresh()
        schedule = train.Schedule(8, 16, 5e-3, seed=3, word_dropout=share)
        losses.append(run(model, examples(model), HARD, schedule))
        again = fresh()
        assert run(again, examples(again), HARD, schedule) == losses[-1]
        texts, labels = corpus(300, seed=9)
        assert (logits(model, model.encode(texts)).argmax(1) == labels).mean() > 0.9
    assert np.mean(losses[1][-10:]) > np.mean(losses[0][-10:]) + 0.05, "half of the telling words are missing"
