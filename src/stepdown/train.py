"""The one training loop: for the teacher, for the direct baseline and for every rung.

It yields events; whoever calls it saves, logs, draws, or stops. A direct baseline is a rung without soft targets.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
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
        accumulate: in how many passes an update's examples are worked through; saves memory, changes no
            result but by what dropout draws.
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
    """One update is done: `done` of `total`, its mean loss per example (of several processes this one's), ids read."""

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
    with `ema`). Deterministic for a seed on one machine, whatever the caller does with the events, and the caller's own
    random numbers are as if nothing had happened. The model is left in evaluation mode.
    """
    total = _updates(parts, schedule)
    shuffler = np.random.default_rng(schedule.seed)
    done = 0
    with _RandomNumbers(schedule.seed + accelerator.process_index, accelerator.device) as own:
        learner = _Learner(model, objective, schedule, accelerator, precision)
        for epoch in range(schedule.epochs):
            if done == total:
                break
            losses = []
            for examples, batch in _epoch_batches(parts, schedule.batch_size, shuffler):
                if done == total:
                    break
                losses.append(learner.update(examples, batch, _rate(done, total, schedule)))
                done += 1
                with own.laid_by():
                    yield Step(done, total, losses[-1], int(examples.tokens.lengths[batch].sum()))
            learner.show()
            with own.laid_by():
                yield Epoch(epoch + 1, schedule.epochs, float(np.mean(losses)))
            if done < total:
                learner.go_on()
    if accelerator.num_processes > 1:
        accelerator.free_memory()  # it would keep every model that it ever prepared


class _Learner:
    """A model in training: its weights, what moves them, and their average.

    It is either at work or shown. At work the network is in training mode, holds the weights as they move, and says
    standardised numbers; shown, it is what training would leave if it ended here.

    Args:
        model, objective, schedule, accelerator, precision: as for `fit`.
    """

    def __init__(
        self,
        model: TextModel,
        objective: Objective,
        schedule: Schedule,
        accelerator: Accelerator,
        precision: torch.dtype,
    ) -> None:
        self._model, self._objective, self._schedule = model, objective, schedule
        self._accelerator, self._precision = accelerator, precision
        self._network, device = model.network, accelerator.device
        self._network.to(device)
        self._to_work()
        self._hinted = (
            Hinted(self._network, objective.hint_size, schedule.seed).to(device)
            if objective.hint_weight
            else None
        )
        self._trained = self._network if self._hinted is None else self._hinted
        # Only what is wrapped is trained through: with one process `prepare` gives the network itself back.
        self._wrapped = (
            accelerator.prepare_model(self._trained) if accelerator.num_processes > 1 else self._trained
        )
        self._optimizer = torch.optim.AdamW(
            _groups(model, schedule, self._hinted.head if self._hinted else None),
            lr=schedule.learning_rate,
            fused=device.type in ("cpu", "cuda"),
        )
        self._average = _Average(self._network, schedule.ema) if schedule.ema is not None else None
        self._weights = None
        if objective.class_weights is not None:
            self._weights = torch.tensor(objective.class_weights, device=device)

    def update(self, examples: Examples, batch: np.ndarray, rate: float) -> float:
        """Move the weights once, by some rows of the examples, at a share of the peak rate; their mean loss.

        Of several processes each works through its own rows, and tells the loss of these.
        """
        for group in self._optimizer.param_groups:
            group["lr"] = group["peak"] * rate
        loss = sum(
            self._backward(examples, part, batch) for part in np.array_split(batch, self._schedule.accumulate)
        )
        torch.nn.utils.clip_grad_norm_(self._trained.parameters(), self._schedule.clip_norm)
        self._optimizer.step()
        self._optimizer.zero_grad(set_to_none=True)
        if self._average is not None:
            self._average.update()
        return loss

    def _backward(self, examples: Examples, part: np.ndarray, batch: np.ndarray) -> float:
        """Add the gradients of a part of a batch; what it adds to the batch's mean loss."""
        ranks = self._accelerator.num_processes
        mine, share = part[self._accelerator.process_index :: ranks], ranks / len(batch)
        if len(mine) == 0:  # every process takes part in every backward pass; this one with weight 0
            mine, share = part[:1] if len(part) else batch[:1], 0.0
        device = self._accelerator.device
        with autocast(device, self._precision):
            ids, lengths = _read(self._model, examples.tokens, mine, self._schedule.word_dropout)
            said = self._wrapped(ids.to(device), lengths.to(device))
        said, guess = said if self._hinted is not None else (said, None)
        losses = objectives.loss(
            said.float(), examples.labels[mine], examples.targets[:, mine], self._objective, self._weights
        )
        if guess is not None:
            assert examples.hints is not None, "hints are weighed but not there"
            losses = losses + objectives.hint_loss(guess, examples.hints[mine], self._objective)
        loss = losses.sum() * share
        loss.backward()
        return float(loss.detach())

    def show(self) -> None:
        """Be what training would leave if it ended here."""
        if self._average is not None:
            self._average.swap()
        self._network.eval()
        if self._objective.unit is not None:
            heads.restore(self._model, self._objective.unit)

    def go_on(self) -> None:
        """Back to work."""
        self._to_work()
        if self._average is not None:
            self._average.swap()

    def _to_work(self) -> None:
        self._network.train()
        if self._objective.unit is not None:
            heads.standardise(self._model, self._objective.unit)


class _RandomNumbers:
    """The training's own random numbers, of torch, which the caller's neither disturb nor are disturbed by.

    Args:
        seed: where they begin.
        device: they are drawn there, and on the processor.
    """

    def __init__(self, seed: int, device: torch.device) -> None:
        self._seed, self._device = seed, device

    def __enter__(self) -> _RandomNumbers:
        self._callers = self._states()
        torch.manual_seed(self._seed)
        return self

    def __exit__(self, *error: object) -> None:
        self._set(self._callers)

    @contextmanager
    def laid_by(self) -> Iterator[None]:
        """Meanwhile the caller draws its own."""
        own = self._states()
        self._set(self._callers)
        try:
            yield
        finally:
            self._callers = self._states()
            self._set(own)

    def _states(self) -> tuple[Tensor, list[Tensor]]:
        """Of the processor and of every GPU: `torch.manual_seed` sets them all."""
        on_gpus = torch.cuda.get_rng_state_all() if self._device.type == "cuda" else []
        return torch.get_rng_state(), on_gpus

    def _set(self, states: tuple[Tensor, list[Tensor]]) -> None:
        on_processor, on_gpus = states
        torch.set_rng_state(on_processor)
        if on_gpus:
            torch.cuda.set_rng_state_all(on_gpus)


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
        self._decay, self._updates = decay, 0

    def update(self) -> None:
        self._updates += 1
        decay = min(self._decay, (1 + self._updates) / (10 + self._updates))
        with torch.no_grad():
            torch._foreach_lerp_(self._mean, self._weights, 1 - decay)

    def swap(self) -> None:
        """Exchange the network's weights and their average."""
        with torch.no_grad():
            for weight, mean in zip(self._weights, self._mean, strict=True):
                held = weight.clone()
                weight.copy_(mean)
                mean.copy_(held)
