"""What a teacher says of the texts: asked once, with its own tokenizer, in the order of the data's labels.

txtai asks the teacher in every step, with the student's token ids, and takes its outputs by their number.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence

import numpy as np
import torch

from stepdown import evaluate, matching, store, targets, teacher
from stepdown.compat.columns import names
from stepdown.data.dataset import Split
from stepdown.data.task import Task
from stepdown.errors import ModelError
from stepdown.students.model import TextModel
from stepdown.students.transformer import HuggingFaceNetwork
from stepdown.transfer.pool import cut

# Labelled texts that decide on the order of its labels, and whether it knows any: more would tell no more.
_JUDGED = 10_000


def said(
    model: TextModel,
    split: Split,
    task: Task,
    *,
    precision: torch.dtype,
    progress: Callable[[int, int], None],
) -> np.ndarray:
    """A teacher's logits of texts, float32 [1, n, outputs], as a student learns from them.

    They are kept in the cache, so that a script that is started again does not wait for them again.

    Warns:
        The order of its labels is not the data's and is changed; or it knows next to nothing.

    Raises:
        ModelError: it answers another question than the data.
        StoreError: the cache cannot be written.
    """
    teacher.require_kind(model, task)
    outputs = _asked(model, split.texts, precision, progress)
    if task.kind != "regression":
        outputs = _in_order(outputs, split, task)
    _warn_of_ignorance(outputs, split, task)
    return outputs[None]


def _asked(
    model: TextModel, texts: Sequence[str], precision: torch.dtype, progress: Callable[[int, int], None]
) -> np.ndarray:
    position: dict[str, int] = {}
    rows = np.array([position.setdefault(text, len(position)) for text in texts], np.int64)
    chunks = list(cut(position))
    # By the ids that it reads, which stand for its tokenizer too.
    digests = [store.digest(read.ids, read.offsets) for read in map(model.encode, chunks)]
    labeller = targets.ModelLabeller(model, _digest(model), precision)
    done = 0

    def count(more: int) -> None:
        nonlocal done
        done += more
        progress(done, len(position))

    targets.label(labeller, digests, lambda index: chunks[index], progress=count)
    asked = zip(chunks, digests, strict=True)
    return np.concatenate([labeller.ask(chunk, digest) for chunk, digest in asked])[rows]


def _digest(model: TextModel) -> str:
    """Of everything that its answers depend on but the ids that it reads."""
    network = model.network
    about = network.classifier.config.to_json_string() if isinstance(network, HuggingFaceNetwork) else ""
    weights = {name: value.detach().float().cpu().numpy() for name, value in network.state_dict().items()}
    return store.digest(type(network).__name__, about, *weights, *weights.values())


def _in_order(outputs: np.ndarray, split: Split, task: Task) -> np.ndarray:
    """Outputs in the order of the data's labels: as they come, unless another order agrees clearly better."""
    count = len(task.label_names)
    if outputs.shape[1] == 1:  # log-odds of the second of two labels
        return np.hstack([np.zeros_like(outputs), outputs])
    if outputs.shape[1] != count:
        raise ModelError(
            f"The teacher has {outputs.shape[1]} labels and the data has {count}. Take a teacher for these labels."
        )
    rows = _judged(split)
    sets = task.truth(split.labels[rows]) if task.kind == "multi-label" else None
    numbers = [str(index) for index in range(count)]
    try:
        order = matching.align(names(count), numbers, None, outputs[rows], split.labels[rows], sets)
    except ModelError:  # no order is clearly the data's
        return outputs
    if order.tolist() == list(range(count)):
        return outputs
    reordered = outputs[:, order]
    found = _knowledge(reordered, split, task)
    if found.near or found.unsure:  # it knows too little for its order to mean anything
        return outputs
    warnings.warn(
        f"The teacher's labels come in another order than the data's: its outputs are taken as {order.tolist()}, "
        f"which agrees best with {found.n:,} labelled texts.",
        stacklevel=5,
    )
    return reordered


def _warn_of_ignorance(outputs: np.ndarray, split: Split, task: Task) -> None:
    if not len(_judged(split)):
        return
    found = _knowledge(outputs, split, task)
    if found.near:
        warnings.warn(
            f"The teacher hardly knows this task: its answers for {found.n:,} labelled texts go with the labels "
            f"hardly more than chance does ({found.accuracy:.3f}). Check the label column and the teacher; "
            "`stepdown run` would refuse it.",
            stacklevel=5,
        )


def _knowledge(outputs: np.ndarray, split: Split, task: Task) -> evaluate.ChanceTest:
    """Whether outputs for the texts of a split go with its labels."""
    rows = _judged(split)
    outputs, labels = outputs[rows], split.labels[rows]
    return evaluate.chance_test(task, evaluate.suited(task, outputs, labels), labels)


def _judged(split: Split) -> np.ndarray:
    """Some labelled rows, evenly over all."""
    known = np.flatnonzero(split.labels >= 0)
    return known[:: max(1, len(known) // _JUDGED)]
