"""Initial embeddings of a student built to a budget: from what an encoder makes of each word alone, or at random."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from stepdown.students import transformer
from stepdown.students.model import TextModel, autocast, inside, logits

# Root mean square of the first column of the initial embeddings, and the share of the columns that may hold the
# teacher's opinion of the word alone; measured, see LOG.md.
_SCALE = 0.5
_OPINION_SHARE = 0.25
_BATCH = 512


def from_teacher(
    teacher: TextModel, entries: Sequence[str], counts: Sequence[int], width: int, *, precision: torch.dtype
) -> np.ndarray:
    """Initial embeddings of words, columns ordered by importance.

    First what the teacher says of the word alone (for two classes its margin), then the principal components,
    weighted by the square root of frequency, of its input vectors and of a middle layer's states for the word alone.
    A teacher of pairs has nothing to say of a word that is no pair.

    Args:
        teacher: a fine-tuned Hugging Face classifier.
        entries: n words or pieces.
        counts: frequency of each, n of them.
        width: columns.

    Returns:
        float32 [n, width].
    """
    if teacher.is_pair:
        return from_encoder(teacher, entries, counts, width, precision=precision)
    weights = _weights(counts)
    tokens = teacher.encode(entries)
    opinion = _components(logits(teacher, tokens, precision=precision).astype(np.float64), weights)
    # Exclusive labels hold one number less than there are.
    numbers = len(teacher.label_names) - (teacher.task == "single-label")
    opinion = opinion[:, : min(numbers, max(1, int(width * _OPINION_SHARE)))]
    opinion = opinion / _rms(opinion[:, :1])
    return _columns(np.hstack([opinion, _meaning(teacher, entries, weights, precision)]), width)


def from_encoder(
    encoder: TextModel, entries: Sequence[str], counts: Sequence[int], width: int, *, precision: torch.dtype
) -> np.ndarray:
    """As `from_teacher`, of an encoder that knows words, but not the task: without what it says of them.

    Args:
        encoder: a Hugging Face model.
        entries, counts, width, precision: as there.
    """
    return _columns(_meaning(encoder, entries, _weights(counts), precision), width)


# Root mean square of random embeddings, every column alike.
_RANDOM_SCALE = 0.1


def at_random(entries: Sequence[str], counts: Sequence[int], width: int) -> np.ndarray:
    """Initial embeddings that say nothing, always the same ones; arguments and result as of `from_teacher`."""
    drawn = np.random.default_rng(0).normal(size=(len(entries), width)) * _RANDOM_SCALE
    return drawn.astype(np.float32)


def _weights(counts: Sequence[int]) -> np.ndarray:
    weights: np.ndarray = np.sqrt(np.maximum(np.asarray(counts, np.float64), 1.0))
    return weights


def _meaning(
    encoder: TextModel, entries: Sequence[str], weights: np.ndarray, precision: torch.dtype
) -> np.ndarray:
    """Principal components of an encoder's input vectors and middle states, the first of root mean square 1."""
    table, states = _vectors(encoder, entries, precision)
    meaning = _components(np.hstack([_unit(table, weights), _unit(states, weights)]), weights)
    return meaning / _rms(meaning[:, :1])


def _columns(joined: np.ndarray, width: int) -> np.ndarray:
    """The first columns, float32 [n, width]; zeros where there are not so many."""
    columns = np.zeros((len(joined), width))
    joined = joined[:, :width] * _SCALE
    columns[:, : joined.shape[1]] = joined
    return columns.astype(np.float32)


def meaning(teacher: TextModel, words: Sequence[str], *, precision: torch.dtype) -> np.ndarray:
    """Vectors of words whose products, cosines, tell how near the words are in the teacher's embedding space.

    Of its input vectors and a middle layer's states for the word alone, both centred.

    Args:
        teacher: a Hugging Face encoder, fine-tuned or not.
        words: n different words.

    Returns:
        float32 [n, columns], each of length 1.
    """
    table, states = _vectors(teacher, words, precision)
    even = np.ones(len(words))
    joined = np.hstack([_unit(part - part.mean(0), even) for part in (table, states)])
    joined /= np.maximum(np.linalg.norm(joined, axis=1, keepdims=True), 1e-12)
    return joined.astype(np.float32)


def _vectors(
    teacher: TextModel, entries: Sequence[str], precision: torch.dtype
) -> tuple[np.ndarray, np.ndarray]:
    """Mean input vector and mean middle-layer state of each entry's own pieces, each float64 [n, hidden]."""
    encoder = transformer.encoder(teacher)
    table = encoder.get_input_embeddings().weight.detach()  # type: ignore[operator]  # nn.Module is untyped here
    special = torch.from_numpy(np.unique(teacher.encode([""]).ids)).long()
    device = table.device
    inputs = np.zeros((len(entries), table.shape[1]))
    states = np.zeros((len(entries), table.shape[1]))
    tokens = teacher.encode(entries)
    order = np.argsort(tokens.lengths, kind="stable")
    was_training = teacher.network.training
    teacher.network.eval()
    with (
        transformer.middle_states(teacher) as seen,
        torch.inference_mode(),
        autocast(device, precision),
    ):
        for start in range(0, len(order), _BATCH):
            rows = order[start : start + _BATCH]
            padded, lengths = (torch.from_numpy(part) for part in tokens.pad(rows, teacher.tokenizer.pad_id))
            all_pieces = inside(lengths, padded.shape[1])
            own = all_pieces & ~torch.isin(padded, special)
            own = torch.where(
                own.any(1, keepdim=True), own, all_pieces
            )  # only special pieces: better than nothing
            encoder(input_ids=padded.to(device), attention_mask=all_pieces.long().to(device))
            share = (own / own.sum(1, keepdim=True)).unsqueeze(-1).to(device)
            inputs[rows] = (table[padded.to(device)] * share).sum(1).float().cpu().numpy()
            states[rows] = (seen.pop().float() * share).sum(1).cpu().numpy()
    teacher.network.train(was_training)
    return inputs, states


def _components(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Values in their principal components, by falling variance; the sign makes each column's largest entry positive.

    Args:
        values: [n, columns].
        weights: of each row, [n].
    """
    share = (weights / weights.sum())[:, None]
    centred = values - (values * share).sum(0)
    _, directions = np.linalg.eigh((centred * share).T @ centred)
    projected = centred @ directions[:, ::-1]
    extreme = projected[np.abs(projected).argmax(0), np.arange(projected.shape[1])]
    result: np.ndarray = projected * np.where(extreme < 0, -1.0, 1.0)
    return result


def _unit(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Values scaled so that their weighted total variance is 1."""
    share = (weights / weights.sum())[:, None]
    centred = values - (values * share).sum(0)
    result: np.ndarray = values / max(float(np.sqrt((centred**2 * share).sum())), 1e-12)
    return result


def _rms(values: np.ndarray) -> float:
    return max(float(np.sqrt((values**2).mean())), 1e-12)
