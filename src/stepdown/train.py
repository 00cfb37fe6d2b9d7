"""The one training loop: for the teacher, for the direct baseline and for every rung.

It yields events; whoever calls it saves, logs, draws, or stops. A direct baseline is a rung without soft targets.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, Protocol

import numpy as np
import torch
from accelerate import Accelerator
from torch import Tensor, nn

from stepdown import objectives
from stepdown.objectives import Objective
from stepdown.students import heads
from stepdown.students.hints import Hinted
from stepdown.students.model import TextModel, autocast
from stepdown.students.tables import TABLES
from stepdown.tokens import Tokens
from stepdown.tokens.words import Words


@dataclass(frozen=True)
class Schedule:
    """How the weights move.

    Attributes:
        epochs: passes over the examples.
        batch_size: examples of one update, over all processes and passes of it.
        learning_rate: peak of AdamW (Loshchilov and Hutter 2019).
        fresh_rate: parameters that start at random beside pretrained ones learn so many times faster (discriminative
            fine-tuning, Howard and Ruder 2018, ULMFiT, section 3.2). With one rate for all, a head for 77 classes is
            far from trained when the encoder is.
        accumulate: in how many passes an update's examples are worked through; saves memory, changes no result.
        weight_decay: decoupled, on matrices only.
        warmup: share of the updates over which the rate rises.
        decay: how it falls to 0 afterwards: half a cosine, or a straight line.
        most_updates: training stops after so many, as if the last pass ended there; None for whole passes.
        clip_norm: largest gradient norm.
        ema: decay of the running average of weights that the trained model gets, None to keep the last weights.
        word_dropout: share of the words that are taken for unknown ones, drawn anew each time a text is read (Iyyer et
            al. 2015, "Deep Unordered Composition Rivals Syntactic Methods", section 2.2). For readers of `words`.
        embedding_rate: the embeddings of a student that is built to a budget learn so many times as fast as the rest.
        seed: of the order of examples and of dropout.
    """

    epochs: int
    batch_size: int
    learning_rate: float
    accumulate: int = 1
    weight_decay: float = 0.01
    warmup: float = 0.1
    clip_norm: float = 1.0
    ema: float | None = None
    seed: int = 0
    fresh_rate: float = 10.0
    word_dropout: float = 0.0
    embedding_rate: float = 1.0
    decay: Literal["cosine", "linear"] = "cosine"
    most_updates: int | None = None


@dataclass(frozen=True)
class Examples:
    """Texts as the student reads them, with what is known of them.

    Attributes:
        tokens: n texts.
        labels: int64 [n], classes or an index into the objective's answers; −1 where there is none.
        targets: float32 [teachers, n, classes], logits of each teacher; zero teachers for hard labels only.
        hints: float16 [n, components] of one teacher, or None.
    """

    tokens: Tokens
    labels: np.ndarray
    targets: np.ndarray
    hints: np.ndarray | None = None

    @classmethod
    def labelled(cls, tokens: Tokens, labels: np.ndarray, outputs: int) -> Examples:
        """Texts with their labels alone, for a model of so many outputs: no teacher says anything of them."""
        return cls(tokens, labels, np.zeros((0, len(tokens), outputs), np.float32))

    @property
    def sizes(self) -> tuple[int, ...]:
        """Examples are `Parts` of one part."""
        return (len(self.tokens),)

    def part(self, index: int) -> Examples:
        """The one part."""
        return self


class Parts(Protocol):
    """More examples than fit in memory."""

    @property
    def sizes(self) -> tuple[int, ...]:
        """Texts of each part; each is a random sample of all."""

    def part(self, index: int) -> Examples:
        """The examples of one part."""


@dataclass(frozen=True)
class Phase:
    """One of several trainings in a row: on what, towards what, how."""

    parts: Parts
    objective: Objective
    schedule: Schedule


@dataclass(frozen=True)
class Step:
    """One update is done: `done` of `total`, its mean loss per example, ids read in it."""

    done: int
    total: int
    loss: float
    tokens: int


@dataclass(frozen=True)
class Epoch:
    """One pass over the examples is done: `done` of `total`, its mean loss. The model may be looked at now."""

    done: int
    total: int
    loss: float


Event = Step | Epoch

# Texts are sorted by length within a window of this many batches: enough for nearly equal lengths in a batch, few
# enough that each pass mixes them anew.
_WINDOW = 50


def fit(
    model: TextModel,
    parts: Parts,
    objective: Objective,
    schedule: Schedule,
    *,
    accelerator: Accelerator,
    precision: torch.dtype = torch.float32,
) -> Iterator[Event]:
    """Train a model in place, yielding events.

    A pass works through the parts of its examples in random order, and through each in random order.

    At an `Epoch` event the model holds the weights that it would have if training stopped there (the averaged ones
    with `ema`). Deterministic for a seed on one machine, whatever the caller does with the events. The model is left
    in evaluation mode.
    """
    network = model.network
    device = accelerator.device
    network.to(device).train()
    if objective.unit is not None:
        heads.standardise(model, objective.unit)
    hinted = Hinted(network, objective.hint_size, schedule.seed).to(device) if objective.hint_weight else None
    trained = network if hinted is None else hinted
    # Only what is wrapped is trained through: with one process `prepare` gives the network itself back.
    wrapped = accelerator.prepare_model(trained) if accelerator.num_processes > 1 else trained
    optimizer = torch.optim.AdamW(
        _groups(model, schedule, hinted.head if hinted else None),
        lr=schedule.learning_rate,
        fused=device.type in ("cpu", "cuda"),
    )
    total = _updates(parts, schedule)
    average = _Average(network, schedule.ema) if schedule.ema is not None else None
    weights = None
    if objective.class_weights is not None:
        weights = torch.tensor(objective.class_weights, device=device)
    shuffler = np.random.default_rng(schedule.seed)
    with torch.random.fork_rng(devices=range(torch.cuda.device_count()) if device.type == "cuda" else ()):
        torch.manual_seed(schedule.seed + accelerator.process_index)
        done = 0
        for epoch in range(schedule.epochs):
            if done == total:
                break
            epoch_losses = []
            for examples, batch in _epoch_batches(parts, schedule.batch_size, shuffler):
                if done == total:
                    break
                for group in optimizer.param_groups:
                    group["lr"] = group["peak"] * _rate(done, total, schedule)
                loss = 0.0
                for part in np.array_split(batch, schedule.accumulate):
                    mine = part[accelerator.process_index :: accelerator.num_processes]
                    if (
                        len(mine) == 0
                    ):  # every process takes part in every backward pass; this one with weight 0
                        mine, share = part[:1] if len(part) else batch[:1], 0.0
                    else:
                        share = accelerator.num_processes / len(batch)
                    with autocast(device, precision):
                        ids, lengths = _read(model, examples.tokens, mine, schedule.word_dropout)
                        said = wrapped(ids.to(device), lengths.to(device))
                    said, guess = said if hinted is not None else (said, None)
                    per_example = objectives.loss(
                        said.float(), examples.labels[mine], examples.targets[:, mine], objective, weights
                    )
                    if guess is not None:
                        assert examples.hints is not None, "hints are weighed but not there"
                        missed = objectives.hint_loss(guess, examples.hints[mine], objective)
                        per_example = per_example + missed
                    part_loss = per_example.sum() * share
                    part_loss.backward()  # type: ignore[no-untyped-call]  # torch declares no types for it
                    loss += float(part_loss.detach())
                torch.nn.utils.clip_grad_norm_(trained.parameters(), schedule.clip_norm)
                optimizer.step()
                optimizer.zero_grad(set_to_none=True)
                done += 1
                if average is not None:
                    average.update(done)
                epoch_losses.append(loss)
                yield Step(done, total, loss, int(examples.tokens.lengths[batch].sum()))
            if average is not None:
                average.swap()
            network.eval()
            if objective.unit is not None:
                heads.restore(model, objective.unit)
            state = torch.get_rng_state()
            yield Epoch(epoch + 1, schedule.epochs, float(np.mean(epoch_losses)))
            torch.set_rng_state(state)
            if done < total:
                network.train()
                if objective.unit is not None:
                    heads.standardise(model, objective.unit)
                if average is not None:
                    average.swap()
    if accelerator.num_processes > 1:
        accelerator.free_memory()  # it would keep every model that it ever prepared


def fit_in_phases(
    model: TextModel,
    phases: Sequence[Phase],
    *,
    accelerator: Accelerator,
    precision: torch.dtype = torch.float32,
) -> Iterator[Event]:
    """Train a model in place through phases, yielding events that count through all of them.

    A phase begins with the weights that the one before would have shipped (the averaged ones with `ema`), with a fresh
    optimizer and its own warm-up; its average of weights begins there too. What started at random is trained by then,
    and learns no faster than the rest.
    """
    epochs = sum(phase.schedule.epochs for phase in phases)
    updates = sum(_updates(phase.parts, phase.schedule) for phase in phases)
    epochs_before = updates_before = 0
    for phase in phases:
        events = fit(
            model, phase.parts, phase.objective, phase.schedule, accelerator=accelerator, precision=precision
        )
        for event in events:
            if isinstance(event, Step):
                yield replace(event, done=updates_before + event.done, total=updates)
            else:
                yield replace(event, done=epochs_before + event.done, total=epochs)
        epochs_before += phase.schedule.epochs
        updates_before += _updates(phase.parts, phase.schedule)
        model = replace(model, fresh=frozenset())


def _updates(parts: Parts, schedule: Schedule) -> int:
    """Updates of all passes."""
    whole = schedule.epochs * sum(-(-size // schedule.batch_size) for size in parts.sizes)
    return whole if schedule.most_updates is None else min(whole, schedule.most_updates)


def _read(model: TextModel, tokens: Tokens, rows: np.ndarray, word_dropout: float) -> tuple[Tensor, Tensor]:
    """Ids of some texts, int64 [batch, length], and their lengths, int64 [batch]."""
    ids, lengths = map(torch.from_numpy, tokens.pad(rows, model.tokenizer.pad_id))
    if word_dropout:
        assert isinstance(model.tokenizer, Words), "no other tokenizer has whole words to leave out"
        dropped = (torch.rand(ids.shape) < word_dropout) & (ids >= model.tokenizer.first_id)
        ids = ids.masked_fill(dropped, model.tokenizer.unknown_id)
    return ids, lengths


def _epoch_batches(
    parts: Parts, size: int, shuffler: np.random.Generator
) -> Iterator[tuple[Examples, np.ndarray]]:
    """All examples once, in batches of some rows of a part."""
    for index in shuffler.permutation(len(parts.sizes)).tolist():
        examples = parts.part(index)
        for batch in batches(examples.tokens.lengths, size, shuffler):
            yield examples, batch


def batches(lengths: np.ndarray, size: int, shuffler: np.random.Generator) -> list[np.ndarray]:
    """All rows once, in batches of nearly equal lengths, in random order."""
    order = shuffler.permutation(len(lengths))
    batches: list[np.ndarray] = []
    for start in range(0, len(order), size * _WINDOW):
        window = order[start : start + size * _WINDOW]
        window = window[np.argsort(lengths[window], kind="stable")]
        batches += [window[at : at + size] for at in range(0, len(window), size)]
    return [batches[index] for index in shuffler.permutation(len(batches))]


def _rate(done: int, total: int, schedule: Schedule) -> float:
    """Share of the peak learning rate for update number `done`: linear warm-up, then half a cosine or a line."""
    warming = int(total * schedule.warmup)
    rising = max(1, warming)
    if done < rising:
        return (done + 1) / rising
    if schedule.decay == "linear":
        return (total - done) / (total - warming)
    return 0.5 * (1 + float(np.cos(np.pi * (done - rising) / max(1, total - rising))))


def _groups(model: TextModel, schedule: Schedule, head: nn.Module | None = None) -> list[dict[str, Any]]:
    """Parameters by what they need: weight decay for matrices alone, a peak of their own for embeddings and new heads.

    Those of the head for hints come last.
    """
    groups: dict[tuple[bool, float], list[Tensor]] = {}
    beside = head.named_parameters(prefix="hints") if head else ()
    for name, parameter in (*model.network.named_parameters(), *beside):
        if parameter.requires_grad:
            rate = schedule.fresh_rate if name in model.fresh else 1.0
            if name.startswith(f"{TABLES}."):
                rate = schedule.embedding_rate
            groups.setdefault((parameter.ndim > 1, rate), []).append(parameter)
    return [
        {
            "params": parameters,
            "weight_decay": schedule.weight_decay if is_matrix else 0.0,
            "peak": schedule.learning_rate * rate,
        }
        for (is_matrix, rate), parameters in groups.items()
    ]


class _Average:
    """Exponential moving average of weights; early on the decay is smaller, so that the start is forgotten."""

    def __init__(self, network: nn.Module, decay: float) -> None:
        self._weights: list[Tensor] = [p for p in network.parameters() if p.requires_grad]
        self._mean = [p.detach().clone() for p in self._weights]
        self._decay = decay

    def update(self, done: int) -> None:
        with torch.no_grad():
            torch._foreach_lerp_(self._mean, self._weights, 1 - min(self._decay, (1 + done) / (10 + done)))

    def swap(self) -> None:
        """Exchange the network's weights and their average."""
        with torch.no_grad():
            for weight, mean in zip(self._weights, self._mean, strict=True):
                held = weight.clone()
                weight.copy_(mean)
                mean.copy_(held)
