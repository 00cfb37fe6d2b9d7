"""The network of a bundle in onnxruntime: ids in, outputs out, in batches, on the processors that there are."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np

from stepdown.errors import BundleError
from stepdown.runtime import graph
from stepdown.tokens import Tokenizer, Tokens

# Ids of one batch after padding: its states stay in the processor's cache, and larger ones are no faster.
_IDS_PER_BATCH = 2048
# What one more call costs, in ids: padding up to that is cheaper than another batch.
_IDS_PER_CALL = 40
# Fewer ids than this are read before another thread has started.
_IDS_FOR_THREADS = 8192
# Bytes of weights from which on all processors share each batch; below, each processor takes its own batches.
_LARGE = 20 * 2**20
_MOST_THREADS = 16
# Bytes that a byte of the file computes as.
_GROW = {"int8": 4, "int4": 8}
# Bytes that all threads may need at a time beside the weights, and numbers that are answered at a time.
_MOST_BYTES = 1 << 30
_MOST_ANSWERS = 1 << 22


class Network:
    """A network that was looked into, loaded and tried out."""

    def __init__(
        self, content: bytes, *, weights: str, tokenizer: Tokenizer, longest: int, outputs: int, where: str
    ) -> None:
        """Load it.

        Args:
            content: of its file.
            weights: what its weights are stored as.
            tokenizer: whose ids it reads.
            longest: most ids of a text that it is given.
            outputs: how many numbers it says of a text.
            where: names it in errors.

        Raises:
            BundleError: it is not to be trusted, cannot be run, or does not fit tokenizer or outputs.
        """
        self._most_texts = max(1, min(_IDS_PER_BATCH, _MOST_ANSWERS // outputs))
        largest = [
            graph.Batch(self._most_texts, 1),
            graph.Batch(max(1, min(self._most_texts, _IDS_PER_BATCH // longest)), longest),
        ]
        needs = graph.check(content, largest, where)
        processors = _processors()
        # Smaller weights are made float32 when the graph is loaded.
        large = len(content) * _GROW.get(weights, 1) > _LARGE
        self._workers = 1 if large else min(processors, max(1, _MOST_BYTES // max(1, needs)))
        self._session = _session(content, processors if large else 1, where)
        self._tokenizer = tokenizer
        self._outputs = outputs
        self._where = where
        self._try_out()

    def run(self, encoded: Tokens, which: np.ndarray | None = None) -> np.ndarray:
        """Outputs, float32 [n, outputs], of the texts at the positions `which`, None for all; zeros at the others.

        Raises:
            BundleError: it fails, or says what is no finite number.
        """
        if which is None:
            if len(encoded) == 1:  # nothing to sort or to pad, and the answer to one text is waited for
                return self._ask(encoded.ids.astype(np.int64)[None], encoded.lengths)
            which = np.arange(len(encoded))
        result = np.zeros((len(encoded), self._outputs), np.float32)

        def one(rows: np.ndarray) -> None:
            result[rows] = self._ask(*encoded.pad(rows, self._tokenizer.pad_id))

        batches = [which[rows] for rows in split(encoded.lengths[which], self._most_texts)]
        if self._workers > 1 and len(encoded.ids) > _IDS_FOR_THREADS:
            from concurrent.futures import ThreadPoolExecutor  # its import takes as long as a hundred texts

            # The session lets go of the interpreter while it computes, so threads do run side by side.
            with ThreadPoolExecutor(self._workers) as pool:
                list(pool.map(one, batches))
        else:
            for rows in batches:
                one(rows)
        return result

    def _ask(self, ids: np.ndarray, lengths: np.ndarray) -> np.ndarray:
        try:
            said: np.ndarray = self._session.run(["logits"], {"ids": ids, "lengths": lengths})[0]
        except MemoryError:
            raise
        except Exception as error:  # onnxruntime's errors have no base of their own
            raise BundleError(
                f"{self._where} fails on {len(lengths)} texts of {ids.shape[1]} ids: {_first_line(error)}. "
                "Export the bundle again."
            ) from error
        expected = (len(lengths), self._outputs)
        if said.shape != expected or not np.isfinite(said).all():
            raise BundleError(
                f"{self._where} answers {len(lengths)} texts with numbers of shape {said.shape}; expected finite "
                f"ones of shape {expected}, one column an output. Export the bundle again."
            )
        return said

    def _try_out(self) -> None:
        """Asks once, with the highest id, so that what does not fit together is told before it is used."""
        pad = self._tokenizer.pad_id
        # Other tokenizers may know ids that they never give and the network has no row for.
        own = self._tokenizer.kind in ("words", "bert-wordpiece")
        last = self._tokenizer.vocab_size - 1 if own else pad
        self._ask(np.array([[last, last], [last, pad]], np.int64), np.array([2, 1], np.int64))


def split(lengths: np.ndarray, most: int = _IDS_PER_BATCH) -> list[np.ndarray]:
    """Cuts texts into batches of nearly equal length, so that nearly nothing is computed on padding.

    Args:
        lengths: ids of each text, shape [n].
        most: texts of a batch.

    Returns:
        positions in `lengths`, every one once; shortest texts first.
    """
    order = np.argsort(lengths, kind="stable")
    ordered = lengths[order]
    # Where a longer text follows; only there is anything to decide.
    steps = np.flatnonzero(np.diff(ordered)) + 1
    groups, start = [], 0
    for step in steps.tolist():
        if (step - start) * (ordered[step] - ordered[step - 1]) > _IDS_PER_CALL:
            groups.append((start, step))
            start = step
    groups.append((start, len(order)))
    batches = []
    for start, end in groups:
        size = max(1, min(most, _IDS_PER_BATCH // int(ordered[end - 1]))) if end > start else 1
        batches += [order[at : min(at + size, end)] for at in range(start, end, size)]
    return batches


def _session(content: bytes, threads: int, where: str) -> Any:
    """An onnxruntime session of a checked graph."""
    import onnxruntime

    onnxruntime.disable_telemetry_events()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    # What it remembers of every shape costs memory and, with shapes that hardly come back, gains no time.
    options.enable_mem_pattern = False
    options.log_severity_level = 4  # what matters comes as an exception
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    # Never the other format that onnxruntime reads, into which the check cannot look.
    options.add_session_config_entry("session.load_model_format", "ONNX")
    try:
        return onnxruntime.InferenceSession(
            content, options, providers=["CPUExecutionProvider"], enable_fallback=0
        )
    except MemoryError:
        raise
    except Exception as error:  # onnxruntime's errors have no base of their own
        raise BundleError(
            f"{where} cannot be run by onnxruntime {onnxruntime.__version__}: {_first_line(error)}. "
            "Update it (pip install -U onnxruntime), or export the bundle again."
        ) from error


def _processors() -> int:
    """Processors that this process may use: its affinity, and the share that a container grants."""
    try:
        count = len(os.sched_getaffinity(0))
    except AttributeError:  # not on every system
        count = os.cpu_count() or 1
    try:
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text().split()
        count = min(count, max(1, round(int(quota) / int(period))))
    except (OSError, ValueError):  # no container, or "max": no limit
        pass
    return min(count, _MOST_THREADS)


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:300]
