"""Runs a bundle: texts in, labels and probabilities out, on numpy and onnxruntime alone."""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from stepdown import tokens
from stepdown.errors import BundleError, InputError
from stepdown.runtime import bundle as bundles
from stepdown.runtime import graph, long_texts, shipped
from stepdown.runtime.bundle import Bundle
from stepdown.tokens import Tokens

# Texts encoded at a time: bounds the memory of a long list.
_WINDOW = 16_384
# Ids of one batch after padding: its states stay in the processor's cache, and larger ones are no faster.
_IDS_PER_BATCH = 2048
# What one more call costs, in ids: padding up to that is cheaper than another batch.
_IDS_PER_CALL = 40
# Fewer ids than this are read before another thread has started.
_IDS_FOR_THREADS = 8192
# Bytes of weights from which on all processors share each batch; below, each processor takes its own batches.
_LARGE = 20 * 2**20
_MOST_THREADS = 16


class Classifier:
    """A text classifier read from a bundle.

    Attributes:
        label_names: in the order of the probabilities.
        max_length: most ids of a text; what is beyond is cut.
        long_texts: how texts beyond a length are read; None: like any other.
        temperature: what logits are divided by before softmax.
        card: the bundle's README.md.
        about: all that the bundle says of itself.
    """

    def __init__(self, bundle: Bundle, name: str = "the bundle") -> None:
        """Make it from a bundle in memory; `name` is what errors call it.

        Raises:
            BundleError: the bundle's network or tokenizer does not fit what the bundle says.
            InputError: its tokenizer needs a library that is not installed.
        """
        self.about = bundle.about
        self.label_names = bundle.about.label_names
        self.max_length = bundle.about.max_length
        self.long_texts = bundle.about.long_texts
        self.temperature = bundle.about.calibration.temperature
        self.card = bundle.card
        weights = bundle.about.weights
        if weights.format != "onnx":
            raise BundleError(
                f"{name} holds its weights as {weights.format}, which need torch to run. "
                "Export it with --format onnx."
            )
        content = bundle.files[weights.file]
        where = f"{name}: {weights.file}"
        self._tokenizer = tokens.parse(bundle.about.tokenizer["kind"], bundle.files)
        processors = _processors()
        # Weights of a byte compute as four: they are made float32 when the graph is loaded.
        large = len(content) * (4 if weights.type == "int8" else 1) > _LARGE
        self._workers = 1 if large else processors
        self._session = _session(content, processors if large else 1, where)
        self._where = where
        self._try_out()

    @classmethod
    def load(cls, name_or_path: str | Path) -> Classifier:
        """Read a bundle, verify it, and make its classifier.

        Args:
            name_or_path: a folder, a `.stepdown` file, or the name of a model that comes with stepdown, such as
                "sentiment"; a bundle of that name in the working folder comes first.

        Raises:
            BundleError: there is none, or it is incomplete, damaged, or not to be trusted.
            InputError: its tokenizer needs a library that is not installed.
        """
        path = shipped.find(name_or_path)
        return cls(bundles.read(path), str(path))

    def predict(self, texts: Sequence[str]) -> list[str]:
        """The most probable label of each text. Raises InputError where `texts` is no list of texts."""
        return [self.label_names[index] for index in self.logits(texts).argmax(1)]

    def predict_proba(self, texts: Sequence[str]) -> np.ndarray:
        """The calibrated probability of each label.

        Args:
            texts: n of them; no text is too long, but `max_length` ids of it, or of a sentence, are read.

        Returns:
            float32, shape [n, labels]; rows sum to 1.

        Raises:
            InputError: `texts` is no list of texts.
        """
        return self.probabilities(self.logits(texts))

    def logits(self, texts: Sequence[str]) -> np.ndarray:
        """What the network says, before calibration: float32, shape [n, labels]. Raises InputError."""
        return self.read(texts)[0]

    def read(self, texts: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
        """Logits, and which texts were cut: what all the others are made from.

        Args:
            texts: n of them.

        Returns:
            logits, float32, shape [n, labels], and bool, shape [n], true where a part of a text was not read.

        Raises:
            InputError: `texts` is no list of texts.
        """
        _check_texts(texts)
        logits = np.zeros((len(texts), len(self.label_names)), np.float32)
        truncated = np.zeros(len(texts), bool)
        for start in range(0, len(texts), _WINDOW):
            window = slice(start, start + _WINDOW)
            logits[window], truncated[window] = self._read(texts[window])
        return logits, truncated

    def probabilities(self, logits: np.ndarray) -> np.ndarray:
        """Softmax of logits [n, labels] at the bundle's temperature: float32, same shape."""
        scaled = logits.astype(np.float64) / self.temperature
        weights = np.exp(scaled - scaled.max(1, keepdims=True))
        found: np.ndarray = (weights / weights.sum(1, keepdims=True)).astype(np.float32)
        return found

    def _read(self, texts: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
        encoded = self._tokenizer.encode(texts, self.max_length)
        everything = np.arange(len(encoded))
        if self.long_texts is None:
            return self._run(encoded, everything), encoded.truncated
        is_long = (encoded.lengths > self.long_texts.above) | encoded.truncated
        if not is_long.any():
            return self._run(encoded, everything), encoded.truncated
        long = np.flatnonzero(is_long)
        alone = self.long_texts.read == "sentences"
        logits = self._run(encoded, np.flatnonzero(~is_long) if alone else everything)
        truncated = encoded.truncated.copy()
        flat, counts = long_texts.cut([texts[row] for row in long.tolist()])
        parts = self._tokenizer.encode(flat, self.max_length)
        said = long_texts.means(self._run(parts, np.arange(len(parts))), counts)
        lost = long_texts.means(parts.truncated[:, None], counts)[:, 0] > 0
        if alone:
            logits[long], truncated[long] = said, lost
        else:
            logits[long] = (logits[long] + said) / 2
            truncated[long] |= lost
        return logits, truncated

    def _run(self, encoded: Tokens, which: np.ndarray) -> np.ndarray:
        """Logits [n, labels] of the texts at the positions `which`; zeros at the others."""
        result = np.zeros((len(encoded), len(self.label_names)), np.float32)

        def one(rows: np.ndarray) -> None:
            result[rows] = self._ask(*encoded.pad(rows, self._tokenizer.pad_id))

        batches = [which[rows] for rows in split(encoded.lengths[which])]
        if self._workers > 1 and len(encoded.ids) > _IDS_FOR_THREADS:
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
        expected = (len(lengths), len(self.label_names))
        if said.shape != expected or not np.isfinite(said).all():
            raise BundleError(
                f"{self._where} answers {len(lengths)} texts with numbers of shape {said.shape}; expected finite "
                f"ones of shape {expected}, one column a label. Export the bundle again."
            )
        return said

    def _try_out(self) -> None:
        """Asks once, with the highest id, so that what does not fit together is told before it is used."""
        pad = self._tokenizer.pad_id
        # Other tokenizers may know ids that they never give and the network has no row for.
        own = self._tokenizer.kind in ("words", "bert-wordpiece")
        last = self._tokenizer.vocab_size - 1 if own else pad
        self._ask(np.array([[last, last], [last, pad]], np.int64), np.array([2, 1], np.int64))


def split(lengths: np.ndarray) -> list[np.ndarray]:
    """Cuts texts into batches of nearly equal length, so that nearly nothing is computed on padding.

    Args:
        lengths: ids of each text, shape [n].

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
        size = max(1, _IDS_PER_BATCH // int(ordered[end - 1])) if end > start else 1
        batches += [order[at : min(at + size, end)] for at in range(start, end, size)]
    return batches


def _session(content: bytes, threads: int, where: str) -> Any:
    """An onnxruntime session of a checked graph, its inputs and output as the format asks for."""
    graph.check(content, where)
    import onnxruntime

    onnxruntime.disable_telemetry_events()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 4  # what matters comes as an exception
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    # Never the other format that onnxruntime reads, into which the check cannot look.
    options.add_session_config_entry("session.load_model_format", "ONNX")
    try:
        session = onnxruntime.InferenceSession(
            content, options, providers=["CPUExecutionProvider"], enable_fallback=0
        )
        # Asked for in here, since even a name may be damaged.
        inputs = sorted((part.name, part.type, len(part.shape)) for part in session.get_inputs())
        outputs = [(part.name, part.type, len(part.shape)) for part in session.get_outputs()]
    except MemoryError:
        raise
    except Exception as error:  # onnxruntime's errors have no base of their own
        raise BundleError(
            f"{where} cannot be run by onnxruntime {onnxruntime.__version__}: {_first_line(error)}. "
            "Update it (pip install -U onnxruntime), or export the bundle again."
        ) from error
    expected = [("ids", "tensor(int64)", 2), ("lengths", "tensor(int64)", 1)]
    if inputs != expected or outputs != [("logits", "tensor(float)", 2)]:
        raise BundleError(
            f"{where} has other inputs and outputs than ids [texts, length] and lengths [texts] of int64 and "
            "logits [texts, labels] of float32. Export the bundle again."
        )
    return session


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


def _check_texts(texts: object) -> None:
    if isinstance(texts, str):
        raise InputError(
            f"Expected a list of texts, found one text. For a single one, pass [{_short(texts)}]."
        )
    if not isinstance(texts, Sequence):
        raise InputError(f"Expected a list of texts, found a {type(texts).__name__}. Pass list(…) of it.")
    for index, text in enumerate(texts):
        if not isinstance(text, str):
            raise InputError(
                f"Text {index} is a {type(text).__name__} ({_short(text)}), not a str. Make all of them str."
            )


def _short(value: object) -> str:
    shown = repr(value)
    return shown if len(shown) <= 40 else shown[:37] + "…" + shown[:1] * isinstance(value, str)


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:300]
