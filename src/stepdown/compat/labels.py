"""Labels: asks a classifier, and answers as txtai does."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from stepdown.compat import models
from stepdown.errors import InputError, ModelError
from stepdown.outputs import probabilities
from stepdown.students.model import TextModel, logits
from stepdown.tasks import SEPARATOR, joined, single

Answer = list[tuple[int, float]] | list[str]

# What changes how fast, but not what is answered; texts that are too long are cut in any case.
_HARMLESS = frozenset({"batch_size", "num_workers", "padding", "truncation", "trust_remote_code"})


class Labels:
    """Applies a text classifier to texts."""

    def __init__(
        self,
        path: Any = None,
        quantize: bool = False,
        gpu: bool | int | str | torch.device | None = True,
        model: Any = None,
        dynamic: bool = True,
        **kwargs: Any,
    ) -> None:
        """Load a classifier.

        Args:
            path: a name, a folder or (model, tokenizer).
            quantize: refused.
            gpu: whether a GPU is used if there is one, or which.
            model: a pipeline of transformers, or another Labels, in the place of `path`.
            dynamic: must be said to be False: zero-shot classification is not done here.
            kwargs: `revision` of a hub model; `trust_remote_code` has no effect, as no code of a hub is run.

        Raises:
            InputError: arguments or the model cannot be used.
            HubError: the model cannot be fetched.
        """
        if dynamic:
            raise InputError(
                "Labels classifies with the labels that a model was trained on: pass dynamic=False. Zero-shot "
                "classification is not done here; label some texts that way once, with transformers' pipeline "
                "'zero-shot-classification', and train a student on them."
            )
        if quantize:
            raise InputError(
                "Labels: quantize is not supported; `stepdown export --weights int8` makes models smaller"
            )
        revision = kwargs.pop("revision", None)
        _refuse(kwargs)
        given = path if model is None else _held(model)
        if given is None:
            raise InputError("Labels needs a model: a name, a folder or (model, tokenizer)")
        self._given, self._revision, self._device = given, revision, _device(gpu)
        self._model = self._load()

    def _load(self, is_pair: bool | None = None) -> TextModel:
        model = models.to_ask(self._given, revision=self._revision, is_pair=is_pair)
        model.network.to(self._device)
        return model

    def __call__(
        self,
        text: Any,
        labels: Sequence[str] | None = None,
        multilabel: bool | None = False,
        flatten: bool | float | None = None,
        workers: int = 0,
        max_length: int | None = None,
        **kwargs: Any,
    ) -> Answer | list[Answer]:
        """Classify a text or several.

        Args:
            text: a string, or texts; a pair is a tuple, or a dict with text and text_pair.
            labels: names or numbers of the labels that are wanted; None for all.
            multilabel: labels are judged each by itself (sigmoid) if True, are exclusive (softmax) if False, and raw
                scores are given if None. A model with one output gives its sigmoid.
            flatten: give names in the place of (id, score): the best one if True, or those that score at least so much.
            workers: has no effect.
            max_length: most tokens of a text.
            kwargs: of transformers' pipeline; what changes no answer is taken.

        Returns:
            (label id, score), highest score first, or names; of several texts a list of those.

        Raises:
            InputError: an argument, or what is no text.
        """
        _refuse(kwargs)
        alone = isinstance(text, str | Mapping)
        texts = [_string(one) for one in ([text] if alone else text)]
        if not self._model.is_pair and any(SEPARATOR in one for one in texts):
            self._model = self._load(is_pair=True)
            if not self._model.is_pair:
                raise ModelError(
                    f"the model reads single texts, and is asked about pairs such as {texts[0]!r}"
                )
        answers = [
            self._answer(scores, labels, flatten) for scores in self._scores(texts, multilabel, max_length)
        ]
        return answers[0] if alone else answers

    def labels(self) -> list[str]:
        """Names of the labels, in the order of their ids."""
        return list(self._model.label_names)

    def _scores(self, texts: Sequence[str], multilabel: bool | None, max_length: int | None) -> np.ndarray:
        """float32 [n, labels]."""
        model = self._model
        if max_length is not None:
            model = replace(model, max_length=min(max_length, model.max_length))
        said = logits(model, model.encode(texts))
        if multilabel is None:
            return said
        by_itself = multilabel or said.shape[1] == 1
        return probabilities("multi-label" if by_itself else "single-label", said, 1.0)

    def _answer(
        self, scores: np.ndarray, labels: Sequence[str] | None, flatten: bool | float | None
    ) -> Answer:
        ranked = sorted(enumerate(scores.tolist()), key=lambda pair: pair[1], reverse=True)
        names = self._model.label_names
        if flatten:
            least = 0.0 if isinstance(flatten, bool) else flatten
            kept = [names[i] for i, score in ranked if score >= least and (not labels or names[i] in labels)]
            return kept[:1] if isinstance(flatten, bool) else kept
        if not labels:
            return ranked
        known = {name.lower(): index for index, name in enumerate(names)}
        wanted = {int(label) if label.isdigit() else known.get(label.lower()) for label in labels}
        return [pair for pair in ranked if pair[0] in wanted]


def _held(model: Any) -> Any:
    """What a pipeline of transformers, or another Labels, asks."""
    return model._given if isinstance(model, Labels) else (model.model, model.tokenizer)


def _refuse(given: Iterable[str]) -> None:
    unknown = sorted(set(given) - _HARMLESS)
    if unknown:
        raise InputError(
            f"Labels does not support {', '.join(unknown)}. Leave it out, or ask transformers' own pipeline "
            "'text-classification', which reads the models that HFTrainer saves."
        )


def _string(text: Any) -> str:
    if isinstance(text, Mapping) and "text" in text:
        text = (text["text"], text["text_pair"]) if text.get("text_pair") is not None else text["text"]
    if isinstance(text, tuple) and len(text) == 2 and all(isinstance(part, str) for part in text):
        return joined(*text)
    if not isinstance(text, str):
        raise InputError(f"a text is {text!r}; expected a string")
    return single(text)


def _device(gpu: bool | int | str | torch.device | None) -> torch.device:
    """As txtai: the first GPU for True, none for False or None, else the one that is named."""
    if isinstance(gpu, torch.device):
        return gpu
    if gpu is None or gpu is False or not torch.cuda.is_available():
        return torch.device("cpu")
    return torch.device("cuda", 0 if gpu is True else int(gpu))
