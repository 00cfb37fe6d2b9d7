"""Hugging Face sequence classifiers, from a folder in their true layout and into one."""

from __future__ import annotations

import json
import logging
import pickle
import warnings
from collections.abc import Collection, Iterator, Mapping, Sequence, Set
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from stepdown import assets, tokens
from stepdown.errors import ModelError, StepdownError
from stepdown.students.model import TextModel
from stepdown.students.token_types import separator_of
from stepdown.students.transformer import HuggingFaceNetwork, describe, longest
from stepdown.tasks import TaskKind


@dataclass(frozen=True)
class Loaded:
    """A model as found on disk.

    Attributes:
        model: ready to train or ask.
        has_head: whether the checkpoint held a trained classification head for its own labels.
        notes: what was found beside or instead of what the classifier needs, in plain lines.
    """

    model: TextModel
    has_head: bool
    notes: tuple[str, ...]


def load(
    folder: Path,
    label_names: Sequence[str] | None = None,
    *,
    max_length: int,
    seed: int = 0,
    task: TaskKind = "single-label",
    is_pair: bool | None = None,
) -> Loaded:
    """Read a classifier from a folder with config.json, weights and tokenizer.

    Args:
        folder: in Hugging Face layout. Only code that ships with transformers runs, never code from the folder.
        label_names: the data's labels, for a head that is to be trained; None takes the checkpoint's own head.
        max_length: most ids of a text; lowered to what the model's positions can take.
        seed: of a head that is not in the checkpoint.
        task: what a new head is for; a checkpoint's own head says itself what it is for.
        is_pair: whether it is to read pairs of texts; None for what the folder says, which is no unless we wrote it.

    Raises:
        ModelError: no readable model in the folder, or one that cannot read pairs and should, in the user's words.
    """
    from transformers import AutoConfig, AutoModelForSequenceClassification

    from stepdown.students import bert_hash  # noqa: F401  # makes its architecture known

    try:
        with quiet():
            # Whatever is wrong with the files: transformers and the readers below it raise errors of many kinds.
            config = AutoConfig.from_pretrained(folder, trust_remote_code=False)
            architectures = getattr(config, "architectures", None) or []
            own_head = any(str(name).endswith("ForSequenceClassification") for name in architectures)
            if label_names is not None and not (own_head and config.num_labels == len(label_names)):
                config.num_labels = len(label_names)
            if label_names is not None:
                config.id2label = dict(enumerate(label_names))
                config.label2id = {name: index for index, name in enumerate(label_names)}
                config.problem_type = PROBLEM_TYPES[task]
            with torch.random.fork_rng(devices=()):
                torch.manual_seed(seed)
                classifier, info = AutoModelForSequenceClassification.from_pretrained(
                    folder,
                    config=config,
                    dtype=torch.float32,
                    trust_remote_code=False,
                    weights_only=True,  # of a pickle, tensors and nothing else: one that would run code is refused
                    output_loading_info=True,
                    ignore_mismatched_sizes=label_names is not None,
                )
            tokenizer = tokens.from_huggingface(folder)
            _check_belongs(folder, classifier, tokenizer)
            missing = {*info["missing_keys"], *(key for key, *_ in info["mismatched_keys"])}
            model = wrapped(
                classifier,
                tokenizer,
                folder,
                max_length=max_length,
                task=None if label_names is None else task,
                is_pair=is_pair,
                missing=missing,
            )
    except StepdownError:
        raise
    except pickle.UnpicklingError as error:
        raise ModelError(
            f"The weights of the model {_named(folder)} are a pickle that holds more than tensors, or is damaged, and "
            "were not read: what else a pickle holds may be code. Take a model with model.safetensors instead."
        ) from error
    except Exception as error:
        raise ModelError(
            f"The model {_named(folder)} could not be read as a text classifier: {_first_line(error)}. "
            "Expected a folder with config.json, weights (model.safetensors) and a tokenizer of an architecture "
            "that transformers ships."
        ) from error
    notes = told_weights(assets.hub_name(folder) or folder.name, set(info["unexpected_keys"]), missing)
    return Loaded(model, own_head and not missing, notes)


def wrapped(
    classifier: Any,
    tokenizer: tokens.Tokenizer,
    folder: Path,
    *,
    max_length: int,
    task: TaskKind | None = None,
    is_pair: bool | None = None,
    missing: Collection[str] = (),
) -> TextModel:
    """A classifier of transformers as the rest of stepdown has it.

    Args:
        classifier: is told the tokenizer's padding if it has none.
        tokenizer: its own, as we read it.
        folder: with the files of the tokenizer.
        max_length: most ids of a text; lowered to what the model's positions can take.
        task: None for what it says itself.
        is_pair: None for what it says itself, which is no unless we wrote it.
        missing: names of its weights that start at random.

    Raises:
        ModelError: it cannot read pairs and should, or is no layered transformer.
    """
    config = classifier.config
    # Some decoders have none, and then take no batch of several texts.
    if config.pad_token_id is None:
        config.pad_token_id = tokenizer.pad_id
    pairs = getattr(config, IS_PAIR, False) is True if is_pair is None else is_pair
    return TextModel(
        HuggingFaceNetwork(classifier, separator_of(folder, classifier, tokenizer) if pairs else None),
        tokenizer,
        tuple(str(config.id2label[index]) for index in range(config.num_labels)),
        longest(config, max_length),
        "huggingface",
        describe(classifier),
        frozenset(f"classifier.{key}" for key in missing),
        task=task or task_of(config),
        is_pair=pairs,
    )


def _check_belongs(folder: Path, classifier: Any, tokenizer: tokens.Tokenizer) -> None:
    rows = classifier.get_input_embeddings().weight.shape[0]
    # Without its files transformers makes an empty tokenizer, to which every word is unknown.
    if not rows / 2 <= tokenizer.vocab_size <= rows:
        raise ModelError(
            f"The model {_named(folder)} has embeddings for {rows:,} tokens, but its tokenizer knows "
            f"{tokenizer.vocab_size:,}: they do not belong together, or the tokenizer's files are missing. Take "
            "both from the same place."
        )


def told_weights(name: str, unexpected: Set[str], missing: Set[str]) -> tuple[str, ...]:
    """What a checkpoint of that name holds beside what a classifier needs, and what it lacks of that: a line each."""
    notes = []
    if unexpected:
        were = (
            "1 weight that a classifier has"
            if len(unexpected) == 1
            else f"{len(unexpected)} weights that a classifier has"
        )
        notes.append(f"{name} holds {were} no place for, left out: {_some(unexpected)}")
    if missing:
        start = "1 weight, which starts" if len(missing) == 1 else f"{len(missing)} weights, which start"
        notes.append(f"{name} lacks {start} at random: {_some(missing)}")
    return tuple(notes)


_SHOWN = 4


def _some(keys: Set[str]) -> str:
    """Some of many keys."""
    shown = sorted(keys)[:_SHOWN]
    return ", ".join([*shown, "…"] if len(keys) > _SHOWN else shown)


def _named(folder: Path) -> str:
    """A model as messages name it: by its hub id, or by where it is."""
    return assets.hub_name(folder) or f"in {folder}"


# What transformers calls the tasks; models, and other tools, choose their loss and their probabilities by it.
PROBLEM_TYPES: Mapping[TaskKind, str] = {
    "single-label": "single_label_classification",
    "multi-label": "multi_label_classification",
    "regression": "regression",
}


def task_of(config: Any) -> TaskKind:
    """What a checkpoint's head is for; single-label where its configuration does not say."""
    named = {problem: kind for kind, problem in PROBLEM_TYPES.items()}
    return named.get(str(config.problem_type), "single-label")


def load_teacher(
    folder: Path,
    label_names: Sequence[str],
    *,
    max_length: int,
    seed: int = 0,
    task: TaskKind = "single-label",
    is_pair: bool | None = None,
) -> Loaded:
    """A classifier with its own head and labels if it has a head, else with a fresh head for the data's labels.

    Arguments and errors are those of `load`.
    """
    found = load(folder, max_length=max_length, is_pair=is_pair)
    if found.has_head:
        return found
    return load(folder, label_names, max_length=max_length, seed=seed, task=task, is_pair=is_pair)


# The key of a saved model's config.json that says that it reads pairs of texts; there is no standard one.
IS_PAIR = "is_pair"


def save(model: TextModel, folder: Path) -> None:
    """Write a folder that `AutoModelForSequenceClassification` and `AutoTokenizer` load, weights as safetensors."""
    assert isinstance(model.network, HuggingFaceNetwork)
    classifier = model.network.classifier
    classifier.config.id2label = dict(enumerate(model.label_names))
    classifier.config.label2id = {name: index for index, name in enumerate(model.label_names)}
    classifier.config.problem_type = PROBLEM_TYPES[model.task]
    if model.is_pair or hasattr(classifier.config, IS_PAIR):
        setattr(classifier.config, IS_PAIR, model.is_pair)
    # It points to code that is not kept here, and that nobody needs.
    vars(classifier.config).pop("auto_map", None)
    write(classifier, model.tokenizer, model.max_length, folder)


def write(model: Any, tokenizer: tokens.Tokenizer, max_length: int, folder: Path) -> None:
    """Write a transformers model and its tokenizer into an existing folder, in Hugging Face's layout.

    Args:
        model: of transformers.
        tokenizer: its own.
        max_length: where the tokenizer's settings say that texts are cut, unless they say otherwise already.
        folder: to write into.
    """
    with quiet():
        model.save_pretrained(folder)
    tokenizer.save(folder)
    # What transformers needs to choose the tokenizer's class and where it cuts.
    settings = folder / "tokenizer_config.json"
    known = json.loads(settings.read_text(encoding="utf-8")) if settings.exists() else {}
    known.setdefault("model_max_length", max_length)
    settings.write_text(json.dumps(known, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0].rstrip(".") if str(error).strip() else type(error).__name__


@contextmanager
def quiet() -> Iterator[None]:
    """Without transformers' progress bars and tables of keys: what matters in them is told in our own words."""
    from transformers.utils import logging as hf_logging

    switch: Any = hf_logging  # its functions have no types

    level, bars = hf_logging.get_verbosity(), hf_logging.is_progress_bar_enabled()
    hf_logging.set_verbosity(logging.CRITICAL)
    switch.disable_progress_bar()
    try:
        with warnings.catch_warnings():
            # torch asks to report pickles that it may not read; where it does not, we say so.
            warnings.filterwarnings("ignore", message="Detected pickle protocol")
            yield
    finally:
        hf_logging.set_verbosity(level)
        if bars:
            switch.enable_progress_bar()
