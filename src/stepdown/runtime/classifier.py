"""Runs a bundle: texts in, labels, probabilities or numbers out, on numpy and onnxruntime alone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, cast, overload

import numpy as np

from stepdown import outputs, tokens
from stepdown.errors import BundleError, InputError, shown
from stepdown.runtime import bundle as bundles
from stepdown.runtime import inputs, long_texts, shipped
from stepdown.runtime.bundle import Bundle
from stepdown.runtime.inputs import Text
from stepdown.runtime.network import Network

# Texts encoded at a time, and scores held at a time: they bound the memory of a long list.
_WINDOW, _MOST_SCORES = 16_384, 1 << 22

Predictions = list[str] | list[list[str]] | list[float]
Guarded = list[str | None] | list[list[str] | None]
"""Predictions of a model that may say nothing."""


class Classifier:
    """A text classifier read from a bundle.

    Texts are given as a list of str; where `is_pair`, as a list of pairs, each a tuple (or list) of two str.

    Attributes:
        task: one label of several, any number of labels, or a number.
        is_pair: it reads pairs of texts.
        label_names: in the order of the probabilities; of a regression the one name of what it predicts.
        max_length: most ids of a text; what is beyond is cut.
        long_texts: how texts beyond a length are read; None: like any other.
        temperature: what logits are divided by before softmax or sigmoid.
        thresholds: from which probability on each label of a multi-label task applies; empty for other tasks.
        window: texts that are read at a time, fewer where each has very many scores.
        card: the bundle's README.md.
        about: all that the bundle says of itself.
    """

    def __init__(self, bundle: Bundle, name: str = "the bundle") -> None:
        """Make it from a bundle in memory; `name` is what errors call it.

        Raises:
            BundleError: the bundle's network or tokenizer does not fit what the bundle says.
            InputError: its tokenizer needs a library that is not installed.
        """
        self._place: Path | None = None
        self.about = bundle.about
        self.task = bundle.about.task
        self.is_pair = bundle.about.is_pair
        self.label_names = bundle.about.label_names
        self.max_length = bundle.about.max_length
        self.long_texts = bundle.about.long_texts
        self.temperature = bundle.about.calibration.temperature
        self.thresholds: tuple[float, ...] = ()
        if self.task == "multi-label":
            self.thresholds = bundle.about.calibration.threshold_of_each(len(self.label_names))
        self.window = max(1, min(_WINDOW, _MOST_SCORES // len(self.label_names)))
        self.card = bundle.card
        weights = bundle.about.weights
        if weights.format != "onnx":
            raise BundleError(
                f"{name} holds its weights as {shown(weights.format)}, which need torch to run. "
                "Export it with --format onnx."
            )
        self._tokenizer = tokens.parse(bundle.about.tokenizer["kind"], bundle.files)
        self._network = Network(
            bundle.files[weights.file],
            weights=weights.type,
            tokenizer=self._tokenizer,
            longest=self.max_length,
            outputs=len(self.label_names),
            where=f"{name}: {weights.file}",
        )

    def __reduce__(self) -> tuple[Any, tuple[Path]]:
        """Pickled and copied as the place of its bundle, which every process reads for itself: a network cannot be."""
        if self._place is None:
            raise TypeError("A Classifier that was not read from a path cannot be pickled or copied.")
        return Classifier.load, (self._place,)

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
        made = cls(bundles.read(path), str(path))
        made._place = path.absolute()
        return made

    @overload
    def predict(self, texts: Sequence[Text], abstain_below: None = None) -> Predictions: ...
    @overload
    def predict(self, texts: Sequence[Text], abstain_below: float) -> Guarded: ...
    def predict(self, texts: Sequence[Text], abstain_below: float | None = None) -> Predictions | Guarded:
        """What is said of each text.

        Args:
            texts: n of them, or n pairs; no text is too long, but `max_length` ids of it, or of a sentence, are read.
            abstain_below: a probability from 0 to 1: nothing is said of a text whose highest is less; None always
                answers.

        Returns:
            n names of the most probable label; for a multi-label task n lists of the names of the labels that apply,
            most probable first; for a regression n floats. With `abstain_below`, None where nothing is said.

        Raises:
            InputError: `texts` is no list of texts, or no list of pairs where the model reads pairs; or
                `abstain_below` is no probability, or asked of a model that has none.
        """
        if abstain_below is not None:
            self.check_can_abstain(abstain_below, "abstain_below")
        inputs.check(texts, is_pair=self.is_pair)
        found: list[Any] = []
        for logits, _ in self._windows(texts):
            found += self._said(logits, abstain_below)
        return found

    def _said(self, logits: np.ndarray, abstain_below: float | None) -> Predictions | Guarded:
        if self.task == "regression":
            return outputs.values(logits)
        said: list[str] | list[list[str]] = (
            [self.label_names[index] for index in logits.argmax(1).tolist()]
            if self.task == "single-label"
            else self.sets(self.probabilities(logits))
        )
        if abstain_below is None:
            return said
        silent = outputs.abstaining(self.probabilities(logits), abstain_below).tolist()
        return cast(Guarded, [None if no else own for no, own in zip(silent, said, strict=True)])

    def predict_proba(self, texts: Sequence[Text]) -> np.ndarray:
        """The calibrated probability of each label.

        Args:
            texts: as for `predict`.

        Returns:
            float32, shape [n, labels]; rows sum to 1, but for a multi-label task, where each label is by itself.

        Raises:
            InputError: as `predict`; or the model predicts a number, and has no probabilities.
        """
        self._check_has_probabilities()
        return self.probabilities(self.logits(texts))

    def logits(self, texts: Sequence[Text]) -> np.ndarray:
        """What the network says, before calibration: float32, shape [n, labels]. Raises as `predict`.

        Of a regression these are the predicted numbers, shape [n, 1].
        """
        return self.read(texts)[0]

    def read(self, texts: Sequence[Text]) -> tuple[np.ndarray, np.ndarray]:
        """Logits, and which texts were cut: what all the others are made from.

        Args:
            texts: as for `predict`.

        Returns:
            logits, float32, shape [n, labels], and bool, shape [n], true where a part of a text was not read.

        Raises:
            InputError: as `predict`.
        """
        inputs.check(texts, is_pair=self.is_pair)
        if len(texts) <= self.window:
            return self._read(texts)
        logits, truncated = zip(*self._windows(texts), strict=True)
        return np.concatenate(logits), np.concatenate(truncated)

    def probabilities(self, logits: np.ndarray) -> np.ndarray:
        """Probabilities of logits [n, labels] at the bundle's temperature: float32, same shape.

        Softmax, or sigmoid for a multi-label task. Raises InputError for a regression.
        """
        self._check_has_probabilities()
        return outputs.probabilities(self.task, logits, self.temperature)

    def decisions(self, logits: np.ndarray) -> np.ndarray:
        """What is said of each text, as numbers, from logits [n, labels].

        Returns:
            float32, shape [n, labels]: 1 for the label, or for the labels that apply, and else 0; of a regression
            the predicted numbers.
        """
        if self.task == "regression":
            return logits
        if self.task == "multi-label":
            return outputs.applying(self.probabilities(logits), self.thresholds).astype(np.float32)
        found = np.zeros_like(logits)
        np.put_along_axis(found, logits.argmax(1)[:, None], 1, axis=1)
        return found

    def sets(self, probabilities: np.ndarray) -> list[list[str]]:
        """Names of the labels of a multi-label task that apply, most probable first, from float32 [n, labels]."""
        apply = outputs.applying(probabilities, self.thresholds)
        order = np.argsort(-probabilities, axis=1, kind="stable")
        return [
            [self.label_names[index] for index in best if own[index]]
            for best, own in zip(order.tolist(), apply.tolist(), strict=True)
        ]

    def check_can_abstain(self, below: float, option: str) -> None:
        """Look whether answers below a probability can be held back, as an option of that name asks for.

        Raises:
            InputError: it is none, or the model predicts a number.
        """
        if self.task == "regression":
            raise InputError(
                f"The model predicts a number, {self.label_names[0]!r}, and no probability to abstain by. "
                f"Leave {option} out."
            )
        if isinstance(below, bool) or not isinstance(below, int | float | np.floating) or not 0 <= below <= 1:
            raise InputError(
                f"{option} is {inputs.short(below)}; expected a probability, a number from 0 to 1."
            )

    def _check_has_probabilities(self) -> None:
        if self.task == "regression":
            raise InputError(
                f"This model predicts a number, {self.label_names[0]!r}, and no probabilities of labels. "
                "Use predict(texts)."
            )

    def _windows(self, texts: Sequence[Text]) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """What `read` says of checked texts, a window after the other."""
        for start in range(0, len(texts), self.window):
            yield self._read(texts[start : start + self.window])

    def _read(self, texts: Sequence[Text]) -> tuple[np.ndarray, np.ndarray]:
        """What `read` says of the checked texts of one window."""
        strings = inputs.as_strings(texts, is_pair=self.is_pair)
        encoded = self._tokenizer.encode(strings, self.max_length)
        if self.long_texts is None:
            return self._network.run(encoded), encoded.truncated
        is_long = (encoded.lengths > self.long_texts.above) | encoded.truncated
        if not is_long.any():
            return self._network.run(encoded), encoded.truncated
        long = np.flatnonzero(is_long)
        alone = self.long_texts.read == "sentences"
        logits = self._network.run(encoded, np.flatnonzero(~is_long) if alone else None)
        truncated = encoded.truncated.copy()
        flat, counts = long_texts.cut([strings[row] for row in long.tolist()])
        parts = self._tokenizer.encode(flat, self.max_length)
        said = long_texts.means(self._network.run(parts), counts)
        lost = long_texts.means(parts.truncated[:, None], counts)[:, 0] > 0
        if alone:
            logits[long], truncated[long] = said, lost
        else:
            logits[long] = (logits[long] + said) / 2
            truncated[long] |= lost
        return logits, truncated
