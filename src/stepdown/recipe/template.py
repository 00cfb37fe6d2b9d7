"""The commented recipe that `stepdown init` writes: every key, what it means and what it is by default."""

import re
from collections.abc import Mapping, Sequence

from pydantic import BaseModel

from stepdown.recipe.faults import literal
from stepdown.recipe.schema import ARMS, DataSpec, DistillSpec, TeacherSpec, TransferSpec
from stepdown.recipe.settings import DEFAULT_CORE, DEFAULTS

USUAL_TEACHER = "demo:minilm-l6"
"""The teacher of a recipe for data with labels."""

_WIDTH = 40  # the column where a line's comment begins

# What a key means, table by table and in the order in which they are written.
DATA = {
    "source": "hub id[:config] · folder · .csv .tsv .jsonl .parquet · demo:movie-snippets",
    "train": "instead of source, when each split has a file of its own",
    "validation": "where anything is chosen; cut from train if absent",
    "test": "where results are told; cut from train if absent",
    "text": "column of the text; two columns make a pair",
    "label": "column of the label, of lists of labels, or of a number; several of 0 and 1; [] if there is none",
    "label_separator": "what parts the labels of one cell, where a cell holds several",
    "task": "single-label, multi-label or regression; if absent, the labels tell",
    "label_names": "names of the labels 0, 1, …, where the data has only numbers",
    "max_length": "longer texts are cut to so many tokens",
    "max_rows": "takes so many labelled rows of train, drawn at random, for a quick try; all if absent",
    "selection_fraction": "share of train that is cut for choosing, where no split serves",
    "report_fraction": "share of train that is cut for reporting, where no split serves",
}
TRANSFER = {
    "unlabeled": "texts of the same kind: hub id[:config][#split] · folder · file, or a list of them",
    "text": "column of the text; two columns where the data has pairs",
    "split_sentences": "true labels sentence by sentence",
    "max_texts": "takes so many of them; all if absent",
    "views": "texts made of each labelled one (parts, mixtures; pairs recombined), where there is no other; 0 for none",
}
TEACHER = {
    "model": 'hub id · folder · demo:minilm-l6 · a list (their mean) · "labels:column,column", scores in the data',
    "scores": "what such columns hold, probabilities or logits; if absent, their values tell",
    "epochs": "passes over train, when it must be fine-tuned first; if absent, by the number of texts",
    "learning_rate": "of that fine-tuning; if absent, by the size of the model",
    "batch_size": "of that fine-tuning",
    "label_map": "its label names → the data's, where they differ",
}
DISTILL = {
    "temperature": "for kl: 1 takes probabilities as they are, 2 to 4 softens them",
    "soft_weight": "weight of the teacher's soft labels",
    "hard_weight": "weight of the data's own labels",
    "loss": "kl, or mse of centred logits; if absent, by the kind of rung and the number of classes",
    "clip": "for mse: logits are cut to ± this",
    "class_weights": "true lets rare classes weigh more in the hard labels' part",
    "gold_epochs": "passes over the labelled texts after distillation, by their labels alone; direct makes none",
    "gold_learning_rate": "at the peak of these passes; if absent, a tenth of the rung's learning_rate",
}
TRAINING = {
    "epochs": "passes over the transfer set; if absent, by the number of texts",
    "learning_rate": "at its peak, after the warm-up",
    "batch_size": "texts in a batch; if absent, by the number of texts",
    "accumulate": "batches in an update of the weights",
    "weight_decay": "AdamW's",
    "warmup": "share of the updates over which the learning rate rises",
    "ema": "keeps a running average of the weights; 0 keeps the last ones",
    "word_dropout": "share of the words that are left out at random",
    "embedding_rate": "what embeddings learn at, over learning_rate; if absent, by the number of texts",
    "hint_weight": "weight of hints from the teacher's middle layer (FitNets), for compact; 0 is off",
}

# Shown where a key has no default: what one would write.
_EXAMPLES: Mapping[str, object] = {
    "source": "reviews.csv",
    "train": "train.csv",
    "validation": "validation.csv",
    "test": "test.csv",
    "label": "label",
    "label_separator": ";",
    "task": "multi-label",
    "label_names": ["negative", "positive"],
    "unlabeled": ["more-texts.csv"],
    "text": "text",
    "max_texts": 100_000,
    "max_rows": 2_000,
    "scores": "logits",
    "label_map": {"LABEL_0": "negative", "LABEL_1": "positive"},
    "loss": "kl",
    "epochs": 4,
    "learning_rate": 1e-4,
    "gold_learning_rate": 4e-4,
    "batch_size": 128,
    "embedding_rate": 0.1,
}


def template(
    name: str,
    data: Mapping[str, object],
    *,
    task: str = "single-label",
    rows: int | None = None,
    teacher: str | None = USUAL_TEACHER,
    arms: Sequence[str] = ARMS,
    views: int = 0,
    rung_length: int | None = None,
    seeds: int = 3,
    notes: Sequence[str] = (),
) -> str:
    """A complete recipe for somebody's data, to be read, changed and run.

    Args:
        name: of the run; characters that no name may have become `-`.
        data: the keys of `[data]` that were found: source or train, text, label and whatever else.
        task: what the labels make of it, for the head line.
        rows: how many rows there are, for the head line.
        teacher: the model at the top; None leaves a line to be filled in.
        arms: that are compared.
        views: of each labelled text, for the teacher to label.
        rung_length: to how many tokens the students cut texts; None for as many as the teacher.
        seeds: of the comparison.
        notes: lines for the head, in the caller's words.

    Returns:
        TOML that `parse` accepts, once a teacher is filled in.
    """
    run = run_name(name)
    size = "" if rows is None else f", {rows:,} rows"
    head = [
        f"{data.get('source') or data.get('train')}: {task}{size}.",
        *notes,
        "Next: `stepdown check` this file, then `stepdown run` it. Paths are relative to this file.",
        "A key behind a # shows its default, or an example where it has none.",
    ]
    few = "; fewer than 3 keep it short but never show a difference" if seeds < 3 else ""
    return "\n".join(
        [
            *(_comment(line) for line in head),
            "",
            _line("name", run, f"the run's folder is runs/{run}"),
            _line("seed", 0, "every random choice starts here"),
            "",
            "[data]",
            *_table(DATA, DataSpec, data),
            "",
            _line(
                "[transfer]",
                None,
                "more texts for the teacher to label: what raises the student most",
                off=not views,
            ),
            *_table(TRANSFER, TransferSpec, {"views": views or None}, _transfer_examples(data)),
            "",
            "[teacher]",
            *_teacher(teacher),
            "",
            _line("[distill]", None, "each rung may say otherwise"),
            *_table(DISTILL, DistillSpec, {"temperature": 1.0, "soft_weight": 1.0, "hard_weight": 0.0}),
            "",
            *_rung(
                1_000_000,
                'or "bag" (fastest), a hub id, a folder, "teacher:3" (its first 3 layers)',
                rung_length,
            ),
            "",
            *_rung(250_000, "the last rung is the student", rung_length),
            "",
            "[compare]",
            "# Ways to train the student: direct from the labels, one-hop from the teacher, chain from the",
            "# rung above, dense from the teacher and all rungs above.",
            f"arms = {literal(tuple(arms))}",
            _line("seeds", seeds, f"times that each is trained{few}"),
            "",
            _line("[[sources]]", None, "what the bundle's card names in place of the names above", off=True),
            _line("name", "Reviews of 2024", "what others know it by", off=True),
            _line("role", "data", "what it served as: teacher, data, transfer text", off=True),
            _line("licence", "not stated", "an SPDX identifier, such as CC-BY-4.0", off=True),
            "",
        ]
    )


def _teacher(model: str | None) -> list[str]:
    if model is not None:
        return _table(TEACHER, TeacherSpec, {"model": model})
    says = (
        "FILL IN, and take the # away: a model that is fine-tuned for your labels: hub id · folder · a list"
    )
    others = {key: meaning for key, meaning in TEACHER.items() if key != "model"}
    return [_line("model", "./my-classifier", says, off=True), *_table(others, TeacherSpec, {})]


def _transfer_examples(data: Mapping[str, object]) -> Mapping[str, object]:
    """Where the data has pairs, so have the unlabelled texts."""
    text = data.get("text")
    return {**_EXAMPLES, "text": text} if isinstance(text, list | tuple) and len(text) == 2 else _EXAMPLES


def run_name(text: str) -> str:
    """A text, such as a file's stem, as a name that a recipe may have."""
    return re.sub(r"[^\w.-]+", "-", text).lstrip(".-")[:60].rstrip(".-") or "run"


def _rung(max_params: int, says: str, max_length: int | None) -> list[str]:
    training = {key: getattr(DEFAULTS["compact"], key) for key in TRAINING}
    return [
        "[[rungs]]",
        _line("model", "compact", says),
        _line("max_params", max_params, "never exceeded, embeddings included"),
        _line("max_bytes", 4 * max_params, "instead of max_params: of weights and tokenizer", off=True),
        _line(
            "core",
            DEFAULT_CORE,
            '"forward-gru" reads in one direction only, faster; "conv" by gated convolutions',
            off=True,
        ),
        _line(
            "hidden",
            32,
            "size of that core: fewer are faster, and leave more words; if absent, by the budget",
            off=True,
        ),
        _line(
            "max_length",
            max_length or DataSpec.model_fields["max_length"].default,
            "longer texts are cut to so many tokens by this rung; if absent, to data.max_length",
            off=max_length is None,
        ),
        *(
            _line(key, _EXAMPLES.get(key) if training[key] is None else training[key], says, off=True)
            for key, says in TRAINING.items()
        ),
    ]


def _table(
    meanings: Mapping[str, str],
    spec: type[BaseModel],
    stated: Mapping[str, object],
    examples: Mapping[str, object] = _EXAMPLES,
) -> list[str]:
    """A line for each key: as stated, else behind a # with its default or an example."""
    lines = []
    for key, says in meanings.items():
        default = spec.model_fields[key].default
        shown = default if default or key not in examples else examples[key]
        is_stated = stated.get(key) is not None
        lines.append(_line(key, stated[key] if is_stated else shown, says, off=not is_stated))
    return lines


def _line(key: str, value: object, says: str, off: bool = False) -> str:
    """A key, or a table's heading if the value is None, and what it means; behind a # if it is off."""
    line = f"{'# ' if off else ''}{key}{'' if value is None else f' = {written(value)}'}"
    return f"{line:<{_WIDTH}} # {says}"


def written(value: object) -> str:
    """As a person writes it: thousands apart, small rates as powers of ten."""
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:_}"
    if isinstance(value, float) and 0 < value < 0.01:
        digits, power = f"{value:e}".split("e")
        return f"{float(digits):g}e{int(power)}"
    return literal(value)


def _comment(text: str) -> str:
    # TOML forbids control characters in comments.
    return "# " + "".join(character if character.isprintable() else " " for character in text)
