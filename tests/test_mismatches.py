"""What does not fit together, named one by one: through the command, it comes out right or is refused with the reason.

One network is trained here; its variants say the same in other orders, under other names, or with other outputs.
"""

from __future__ import annotations

import copy
import csv
import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from accelerate import Accelerator

import stepdown
from stepdown import recipe, runs, train
from stepdown.cli import main
from stepdown.objectives import Objective
from tests.conftest import BAD, FILLER, GOOD, make_teacher

THREE = ("negative", "neutral", "positive")
TWO = ("negative", "positive")
WORDS = {"negative": BAD, "neutral": FILLER[-3:], "positive": GOOD}


def corpus(n: int, seed: int, *, neutral: bool = False) -> tuple[list[str], list[str]]:
    """Texts, and labels that are in one word of each."""
    draw = np.random.default_rng(seed)
    texts, labels = [], []
    for _ in range(n):
        label = str(draw.choice(THREE if neutral else TWO))
        words = list(draw.choice(FILLER[:-3], draw.integers(3, 9)))
        words.insert(draw.integers(0, len(words)), draw.choice(WORDS[label]))
        texts.append(" ".join(words))
        labels.append(label)
    return texts, labels


def learn(classifier: Any, tokenizer: Any, texts: Sequence[str], labels: Sequence[int], epochs: int) -> None:
    """Fine-tune a classifier of transformers, as anybody would."""
    optimizer = torch.optim.AdamW(classifier.parameters(), lr=3e-3)
    order, classes = np.random.default_rng(0), torch.tensor(labels)
    classifier.train()
    for _ in range(epochs):
        for rows in np.array_split(order.permutation(len(texts)), len(texts) // 16):
            read = tokenizer([texts[at] for at in rows], padding=True, return_tensors="pt")
            kept = {key: read[key] for key in ("input_ids", "attention_mask")}
            torch.nn.functional.cross_entropy(classifier(**kept).logits, classes[rows]).backward()
            torch.nn.utils.clip_grad_norm_(classifier.parameters(), 1.0)
            optimizer.step()
            optimizer.zero_grad()
    classifier.eval()


@dataclass(frozen=True)
class Models:
    """A BERT of 64 positions, and a RoBERTa of 32 with byte pairs, that tell three labels; and their encoders."""

    folder: Path
    bert: Any
    tokenizer: Any

    def variant(
        self,
        name: str,
        rows: Sequence[Sequence[float]],
        names: Sequence[str],
        shift: float = 0.0,
        **config: Any,
    ) -> Path:
        """The BERT with outputs that are sums of its three; what is there already is not made again."""
        folder = self.folder / name
        if not folder.exists():
            made = copy.deepcopy(self.bert)
            mixing = torch.tensor(rows, dtype=torch.float32)
            with torch.no_grad():
                made.classifier.weight = torch.nn.Parameter(mixing @ made.classifier.weight)
                made.classifier.bias = torch.nn.Parameter(mixing @ made.classifier.bias + shift)
            made.config.num_labels = made.num_labels = made.classifier.out_features = len(rows)
            made.config.id2label = dict(enumerate(names))
            made.config.label2id = {label: at for at, label in enumerate(names)}
            made.config.update(config)
            made.save_pretrained(folder)
            self.tokenizer.save_pretrained(folder)
        return folder


NEGATIVE, NEUTRAL, POSITIVE = np.eye(3).tolist()
MARGIN = [-1.0, 0.0, 1.0]


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Models:
    from tokenizers import ByteLevelBPETokenizer
    from transformers import (
        AutoTokenizer,
        BertForSequenceClassification,
        RobertaConfig,
        RobertaForSequenceClassification,
        RobertaTokenizerFast,
    )

    folder = tmp_path_factory.mktemp("models")
    texts, labels = corpus(600, 1, neutral=True)
    classes = [THREE.index(label) for label in labels]
    encoder = make_teacher(folder / "encoder")
    torch.manual_seed(0)
    bert = BertForSequenceClassification.from_pretrained(encoder, num_labels=3)
    tokenizer = AutoTokenizer.from_pretrained(encoder)
    learn(bert, tokenizer, texts, classes, 5)
    bert.bert.save_pretrained(folder / "bert-encoder")
    tokenizer.save_pretrained(folder / "bert-encoder")
    pairs = ByteLevelBPETokenizer()
    special = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
    pairs.train_from_iterator(texts, vocab_size=420, min_frequency=1, special_tokens=special)
    roberta = folder / "roberta"
    roberta.mkdir()
    pairs.save_model(str(roberta))
    bytewise = RobertaTokenizerFast.from_pretrained(roberta)
    config = RobertaConfig(
        vocab_size=len(bytewise),
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=64,
        max_position_embeddings=34,
        type_vocab_size=1,
        pad_token_id=1,
        bos_token_id=0,
        eos_token_id=2,
        num_labels=2,
        id2label=dict(enumerate(TWO)),
        label2id={label: at for at, label in enumerate(TWO)},
    )
    other = RobertaForSequenceClassification(config)
    texts, labels = corpus(480, 2)
    learn(other, bytewise, texts, [TWO.index(label) for label in labels], 5)
    other.save_pretrained(roberta)
    other.roberta.save_pretrained(folder / "roberta-encoder")
    for kept in (roberta, folder / "roberta-encoder"):
        bytewise.save_pretrained(kept)
    return Models(folder, bert, tokenizer)


def write(path: Path, rows: Sequence[Sequence[object]], head: Sequence[str] = ("text", "label")) -> Path:
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([head, *rows])
    return path


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Files of the same texts, with labels of every kind."""
    folder = tmp_path_factory.mktemp("data")
    texts, labels = corpus(320, 7)
    numbers = [TWO.index(label) for label in labels]
    draw = np.random.default_rng(3)
    columns: dict[str, list[object]] = {
        "two": [*labels],
        "from1": [number + 1 for number in numbers],
        "floats": [float(number) for number in numbers],
        "stars": [round(1 + 4 * number + 0.3 * draw.normal(), 2) for number in numbers],
    }
    for name, column in columns.items():
        write(folder / f"{name}.csv", list(zip(texts, column, strict=True)))
    sets = [
        [text, int(label == "negative"), int(label == "positive")]
        for text, label in zip(texts, labels, strict=True)
    ]
    write(folder / "sets.csv", sets, ("text", "negative", "positive"))
    first = ["word1 word2"] * len(texts)
    write(folder / "pairs.csv", list(zip(first, texts, labels, strict=True)), ("one", "two", "label"))
    stars = list(zip(first, texts, columns["stars"], strict=True))
    write(folder / "pair-stars.csv", stars, ("one", "two", "label"))
    write(
        folder / "pair-sets.csv",
        [["word1 word2", *row] for row in sets],
        ("one", "two", "negative", "positive"),
    )
    write(folder / "three.csv", list(zip(*corpus(400, 8, neutral=True), strict=True)))
    return folder


COMPACT = {"model": "compact", "max_params": 12_000, "epochs": 6, "batch_size": 32, "learning_rate": 1e-2}


@dataclass(frozen=True)
class Said:
    """What a command left behind: exit code, stdout, stderr."""

    code: int
    out: str
    err: str


Command = Callable[..., Said]


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    """`stepdown …` as the shell calls it, in this process."""

    def call(*words: object) -> Said:
        monkeypatch.setattr(sys, "argv", ["stepdown", *map(str, words)])
        capsys.readouterr()
        with pytest.raises(SystemExit) as left:
            main()
        told = capsys.readouterr()
        return Said(int(left.value.code or 0), told.out, " ".join(told.err.split()))

    return call


def a_recipe(folder: Path, source: Path, top: Path, **tables: Any) -> Path:
    """A recipe of one rung and one arm."""
    folder.mkdir(exist_ok=True)
    rung = tables.pop("rung", {})
    wanted = {
        "name": "mismatch",
        "data": {
            "source": str(source),
            "text": "text",
            "label": "label",
            "max_length": 32,
            **tables.pop("data", {}),
        },
        "teacher": {"model": str(top), **tables.pop("teacher", {})},
        "rungs": [{**({} if "model" in rung else COMPACT), **rung}],
        "compare": {"arms": ["one-hop"], "seeds": 1},
        **tables,
    }
    wanted["data"] = {key: value for key, value in wanted["data"].items() if value is not None}
    path = folder / "recipe.toml"
    path.write_text(recipe.dump(recipe.parse(wanted)), encoding="utf-8")
    return path


@dataclass(frozen=True)
class Done:
    """A run that went through."""

    check: str
    results: dict[str, Any]
    bundle: stepdown.Classifier

    def value(self, at: int, metric: str) -> float:
        return float(self.results["cells"][at]["metrics"][metric]["value"])


def done(command: Command, path: Path) -> Done:
    """What `check` and `run` make of a recipe that is right."""
    looked = command("check", path)
    assert looked.code == 0, looked.err
    ran = command("run", path, "--out", path.parent / "run", "--json")
    assert ran.code == 0, ran.err
    return Done(looked.out, json.loads(ran.out), stepdown.Classifier.load(path.parent / "run" / "bundle"))


def refused(command: Command, path: Path) -> str:
    """The reason that both `check` and `run` give; nothing of a run may be left."""
    reasons = [command("check", path), command("run", path, "--out", path.parent / "run")]
    assert [reason.code for reason in reasons] == [2, 2], reasons
    assert reasons[0].err in reasons[1].err
    assert "Traceback" not in reasons[1].err
    assert not any((path.parent / "run" / name).exists() for name in ("cells", "bundle", "results.json"))
    return reasons[0].err


def right(found: Done, least: float = 0.9) -> None:
    """The teacher knows the labels, the student agrees with it, and the bundle answers in the data's own words."""
    assert found.value(0, "accuracy") > 0.95
    assert found.value(1, "accuracy") > least
    assert found.value(1, "agreement") > least
    labels = found.results["data"]["label_names"]
    said = found.bundle.predict(["word1 good word2 great", "dull word3 bad"])
    assert said == [labels[-1], labels[0]]


def test_different_tokenizers_vocabularies_special_tokens_and_maximum_lengths(
    models: Models, tmp_path: Path, command: Command
) -> None:
    """Byte pairs, <s> and 32 positions above word pieces, [CLS] and 64 positions; the other way round is below."""
    rows = [
        (f"{text} {'word3 ' * 25}" if at % 4 == 0 else text, label)
        for at, (text, label) in enumerate(zip(*corpus(320, 7), strict=True))
    ]
    rung = {"model": str(models.folder / "bert-encoder"), "epochs": 3, "learning_rate": 1e-3}
    source, top = write(tmp_path / "long.csv", rows), models.folder / "roberta"
    found = done(command, a_recipe(tmp_path, source, top, rung=rung, data={"max_length": 48}))
    right(found)
    assert "are longer than 32 and are cut" in found.check
    assert found.bundle.max_length == 48


@pytest.mark.parametrize("teacher", ["bert", "roberta"])
def test_token_types_that_one_has_and_the_other_lacks(
    teacher: str, models: Models, data: Path, tmp_path: Path, command: Command
) -> None:
    """BERT's types of pairs above a RoBERTa, which has none; and a RoBERTa above a student that needs none."""
    rung: dict[str, Any] = {}
    top = models.folder / "roberta"
    if teacher == "bert":
        top = models.variant("two", [NEGATIVE, POSITIVE], TWO)
        rung = {"model": str(models.folder / "roberta-encoder"), "epochs": 3, "learning_rate": 1e-3}
    path = a_recipe(tmp_path, data / "pairs.csv", top, rung=rung, data={"text": ["one", "two"]})
    found = done(command, path)
    assert found.bundle.is_pair
    assert found.value(0, "accuracy") > 0.9
    assert found.value(1, "accuracy") > 0.8
    pairs = [("word1 word2", "good word3 great"), ("word1 word2", "word3 bad dull")]
    assert found.bundle.predict(pairs) == ["positive", "negative"]


def test_label_order_permuted(models: Models, data: Path, tmp_path: Path, command: Command) -> None:
    names = ("positive", "negative", "neutral")
    top = models.variant("permuted", [POSITIVE, NEGATIVE, NEUTRAL], names)
    found = done(command, a_recipe(tmp_path, data / "three.csv", top))
    right(found, 0.8)
    assert found.results["data"]["label_names"] == [*THREE]
    assert found.bundle.predict(["word58 word2 word59"]) == ["neutral"]


def test_label_order_permuted_of_several_labels_a_text(
    models: Models, data: Path, tmp_path: Path, command: Command
) -> None:
    against = [[-1.0, 0.0, 1.0], [1.0, 0.0, -1.0]]
    top = models.variant("sets", against, TWO[::-1], problem_type="multi_label_classification")
    found = done(
        command, a_recipe(tmp_path, data / "sets.csv", top, data={"label": ["negative", "positive"]})
    )
    assert found.value(0, "micro_f1") > 0.95
    assert found.value(1, "micro_f1") > 0.85
    assert [*map(set, found.bundle.predict(["good word1 great", "dull word3 bad"]))] == [
        {"positive"},
        {"negative"},
    ]


def test_label_order_permuted_of_several_labels_a_pair(
    models: Models, data: Path, tmp_path: Path, command: Command
) -> None:
    against = [[-1.0, 0.0, 1.0], [1.0, 0.0, -1.0]]
    top = models.variant("sets", against, TWO[::-1], problem_type="multi_label_classification")
    columns = {"text": ["one", "two"], "label": ["negative", "positive"]}
    found = done(command, a_recipe(tmp_path, data / "pair-sets.csv", top, data=columns))
    assert found.bundle.is_pair
    assert found.value(0, "micro_f1") > 0.9
    assert found.value(1, "micro_f1") > 0.8
    pairs = [("word1 word2", "good word3 great"), ("word1 word2", "word3 bad dull")]
    assert [*map(set, found.bundle.predict(pairs))] == [{"positive"}, {"negative"}]


def test_a_number_of_a_pair_in_another_unit(
    models: Models, data: Path, tmp_path: Path, command: Command
) -> None:
    """Its numbers lie around 3 and hardly differ; the data's go from 1 to 5."""
    top = models.variant("stars", [[0.1 * share for share in MARGIN]], ("LABEL_0",), shift=3.0)
    found = done(command, a_recipe(tmp_path, data / "pair-stars.csv", top, data={"text": ["one", "two"]}))
    assert found.bundle.is_pair
    assert found.value(0, "pearson") > 0.9
    assert found.value(1, "pearson") > 0.8
    low, high = found.bundle.predict([("word1 word2", "bad word1 dull"), ("word1 word2", "good word2 great")])
    assert low < 2 < 4 < high


def test_label_names_that_lie_are_refused_with_the_map_that_is_right(
    models: Models, data: Path, tmp_path: Path, command: Command
) -> None:
    top = models.variant("lying", [NEGATIVE, POSITIVE], TWO[::-1])
    why = refused(command, a_recipe(tmp_path, data / "two.csv", top))
    assert "agree with the data's on 0% of 32 labelled texts, and in another order on 100%" in why
    better = 'label_map = { "positive" = "negative", "negative" = "positive" }'
    assert better in why
    right(
        done(
            command,
            a_recipe(
                tmp_path, data / "two.csv", top, teacher={"label_map": dict(zip(TWO[::-1], TWO, strict=True))}
            ),
        )
    )


def test_two_of_three_label_names_that_lie_are_refused_too(
    models: Models, data: Path, tmp_path: Path, command: Command
) -> None:
    top = models.variant("half-lying", [NEUTRAL, NEGATIVE, POSITIVE], THREE)
    why = refused(command, a_recipe(tmp_path, data / "three.csv", top))
    assert '"neutral" = "negative", "negative" = "neutral", "positive" = "positive"' in why


def test_label_names_that_differ_only_in_case(
    models: Models, data: Path, tmp_path: Path, command: Command
) -> None:
    top = models.variant("case", [POSITIVE, NEGATIVE], ("Positive", "NEGATIVE"))
    right(done(command, a_recipe(tmp_path, data / "two.csv", top)))


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_label_names_that_are_label_0(
    order: tuple[int, int], models: Models, data: Path, tmp_path: Path, command: Command
) -> None:
    """In whichever order they come; which was taken for which is told."""
    rows = [[NEGATIVE, POSITIVE][at] for at in order]
    top = models.variant(f"unnamed-{order[0]}", rows, ("LABEL_0", "LABEL_1"))
    found = done(command, a_recipe(tmp_path, data / "two.csv", top))
    right(found)
    note = (
        "its labels have no names of their own: by agreement on selection texts, "
        f"LABEL_{order.index(0)} for 'negative', LABEL_{order.index(1)} for 'positive'"
    )
    assert note in found.check
    assert note in found.results["cells"][0]["notes"]


def test_other_label_names_are_refused_with_the_map_that_is_right(
    models: Models, data: Path, tmp_path: Path, command: Command
) -> None:
    top = models.variant("others", [POSITIVE, NEGATIVE], ("yes", "no"))
    why = refused(command, a_recipe(tmp_path, data / "two.csv", top))
    assert (
        'By what it says of 32 labelled texts that is label_map = { "no" = "negative", "yes" = "positive" }'
        in why
    )
    label_map = {"no": "negative", "yes": "positive"}
    right(done(command, a_recipe(tmp_path, data / "two.csv", top, teacher={"label_map": label_map})))
    turned = dict(zip(label_map, TWO[::-1], strict=True))
    why = refused(
        command, a_recipe(tmp_path / "turned", data / "two.csv", top, teacher={"label_map": turned})
    )
    assert 'say label_map = { "no" = "negative", "yes" = "positive" }' in why


def test_more_classes_in_the_teacher_than_in_the_data(
    models: Models, data: Path, tmp_path: Path, command: Command
) -> None:
    top = models.variant("three", [NEGATIVE, NEUTRAL, POSITIVE], THREE)
    why = refused(command, a_recipe(tmp_path, data / "two.csv", top))
    assert "The teacher knows 3 labels (negative, neutral, positive) and the data has 2" in why
    assert "label_map" in why
    label_map = {"negative": "negative", "positive": "positive"}
    right(done(command, a_recipe(tmp_path, data / "two.csv", top, teacher={"label_map": label_map})))


def test_fewer_classes_in_the_teacher_than_in_the_data(
    models: Models, data: Path, tmp_path: Path, command: Command
) -> None:
    top = models.variant("two", [NEGATIVE, POSITIVE], TWO)
    why = refused(command, a_recipe(tmp_path, data / "three.csv", top))
    assert "The teacher knows 2 labels (negative, positive) and the data has 3" in why
    label_map = {"negative": "negative", "positive": "positive"}
    why = refused(command, a_recipe(tmp_path, data / "three.csv", top, teacher={"label_map": label_map}))
    assert "leaves labels of the data without one: neutral" in why


@pytest.mark.parametrize("speaks_for", TWO)
def test_one_logit_against_two(
    speaks_for: str, models: Models, data: Path, tmp_path: Path, command: Command
) -> None:
    """The log-odds of either label, as the labelled texts tell."""
    sign = 1.0 if speaks_for == "positive" else -1.0
    top = models.variant(f"one-{speaks_for}", [[sign * share for share in MARGIN]], ("LABEL_0",))
    found = done(command, a_recipe(tmp_path, data / "two.csv", top))
    right(found)
    assert f"its one output is taken for the log-odds of {speaks_for!r}" in found.check


def test_one_logit_that_is_called_as_one_of_two_labels(
    models: Models, data: Path, tmp_path: Path, command: Command
) -> None:
    """Its name decides, and so does the recipe; neither is believed against the labelled texts."""
    named = models.variant("one-named", [[-share for share in MARGIN]], ("Negative",))
    looked = command("check", a_recipe(tmp_path, data / "two.csv", named))
    assert looked.code == 0, looked.err
    assert "its one output is taken for the log-odds of 'negative' against 'positive'" in looked.out
    top = models.variant("one-positive", [MARGIN], ("LABEL_0",))
    mapped = {"label_map": {"LABEL_0": "positive"}}
    assert command("check", a_recipe(tmp_path, data / "two.csv", top, teacher=mapped)).code == 0
    mapped = {"label_map": {"LABEL_0": "negative"}}
    why = refused(command, a_recipe(tmp_path, data / "two.csv", top, teacher=mapped))
    assert 'say label_map = { "LABEL_0" = "positive" }' in why
    mapped = {"label_map": {"LABEL_1": "negative"}}
    assert "Expected LABEL_0 = the label" in refused(
        command, a_recipe(tmp_path, data / "two.csv", top, teacher=mapped)
    )


def test_a_regression_teacher_for_a_classification_task(
    models: Models, data: Path, tmp_path: Path, command: Command
) -> None:
    top = models.variant("number", [MARGIN], ("LABEL_0",), problem_type="regression")
    assert "is for predicting a number" in refused(command, a_recipe(tmp_path, data / "two.csv", top))
    # One that does not say what it is: its stars, all above 0, are no log-odds.
    stars = models.variant("stars", [[0.1 * share for share in MARGIN]], ("LABEL_0",), shift=3.0)
    why = refused(command, a_recipe(tmp_path, data / "two.csv", stars))
    assert "does not know this task" in why
    assert "if it predicts a number, it is for another task than the data" in why
    # One that learnt the two labels as the numbers 0 and 1.
    from0 = models.variant("from0", [[0.04 * share for share in MARGIN]], ("LABEL_0",), shift=0.5)
    why = refused(command, a_recipe(tmp_path, data / "two.csv", from0))
    assert "parts the two labels at 0.5 (9" in why or "parts the two labels at 0.5 (100%" in why
    assert "it predicts them as the numbers 0 and 1, and log-odds were expected" in why
    # And it is right where a number is asked for, in another unit.
    found = done(command, a_recipe(tmp_path, data / "stars.csv", stars))
    assert found.value(0, "pearson") > 0.9
    assert found.value(1, "pearson") > 0.8
    low, high = found.bundle.predict(["bad word1 dull", "good word2 great"])
    assert low < 3 < high


def test_a_classification_teacher_for_a_regression_task(
    models: Models, data: Path, tmp_path: Path, command: Command
) -> None:
    top = models.variant("two", [NEGATIVE, POSITIVE], TWO)
    why = refused(command, a_recipe(tmp_path, data / "stars.csv", top))
    assert "is for one of several labels a text, and the data is for predicting a number" in why


def test_an_untrained_head(models: Models, data: Path, tmp_path: Path, command: Command) -> None:
    """One at random in the checkpoint is refused; where there is none, it is trained first."""
    from transformers import AutoConfig, BertForSequenceClassification

    folder = models.folder / "untrained"
    torch.manual_seed(3)
    config = AutoConfig.from_pretrained(models.folder / "encoder", num_labels=2)
    config.id2label, config.label2id = dict(enumerate(TWO)), {label: at for at, label in enumerate(TWO)}
    BertForSequenceClassification(config).save_pretrained(folder)
    models.tokenizer.save_pretrained(folder)
    assert "The teacher does not know this task" in refused(
        command, a_recipe(tmp_path, data / "two.csv", folder)
    )
    tuned = {"epochs": 3, "learning_rate": 2e-3}
    found = done(command, a_recipe(tmp_path, data / "two.csv", models.folder / "bert-encoder", teacher=tuned))
    assert "has no head for this task and will be fine-tuned first" in found.check
    right(found)


def test_a_multi_label_teacher_for_a_single_label_task(
    models: Models, data: Path, tmp_path: Path, command: Command
) -> None:
    against = [[1.0, 0.0, -1.0], [-1.0, 0.0, 1.0]]
    top = models.variant("sets-in-order", against, TWO, problem_type="multi_label_classification")
    why = refused(command, a_recipe(tmp_path, data / "two.csv", top))
    assert "is for any number of labels a text, and the data is for one of several labels a text" in why


def test_an_unnamed_output_that_goes_with_no_label(models: Models, tmp_path: Path, command: Command) -> None:
    """What knows of all labels but one is not taken to know that one, too."""
    texts, labels = corpus(320, 7)
    rows = [
        [text, int(one == "negative"), int(one == "positive"), len(text.split()) % 2]
        for text, one in zip(texts, labels, strict=True)
    ]
    write(tmp_path / "sets.csv", rows, ("text", "negative", "positive", "odd"))
    top = models.variant("unnamed", [NEGATIVE, NEUTRAL, POSITIVE], ("LABEL_0", "LABEL_1", "LABEL_2"))
    label = {"label": ["negative", "positive", "odd"]}
    why = refused(command, a_recipe(tmp_path, tmp_path / "sets.csv", top, data=label))
    assert "none of its outputs goes with the label 'odd' on 32 labelled texts" in why


@pytest.mark.parametrize(
    ("name", "labels"), [("two", ["negative", "positive"]), ("from1", ["1", "2"]), ("floats", ["0", "1"])]
)
def test_string_labels_labels_1_and_2_and_floats_that_are_classes(
    name: str, labels: list[str], models: Models, data: Path, tmp_path: Path, command: Command
) -> None:
    written = command("init", data / f"{name}.csv", "--out", "-")
    assert written.code == 0, written.err
    assert "single-label, 2 labels" in written.out
    top = models.variant("unnamed-1", [POSITIVE, NEGATIVE], ("LABEL_0", "LABEL_1"))
    found = done(command, a_recipe(tmp_path, data / f"{name}.csv", top))
    assert found.results["data"]["label_names"] == labels
    right(found)


def test_a_class_that_only_validation_has(
    models: Models, data: Path, tmp_path: Path, command: Command
) -> None:
    rows = [*zip(*corpus(60, 9), strict=True), ("odd word1", "neutral")]
    write(tmp_path / "validation.csv", rows)
    top = models.variant("two", [NEGATIVE, POSITIVE], TWO)
    split = {"source": None, "train": str(data / "two.csv"), "validation": str(tmp_path / "validation.csv")}
    why = refused(command, a_recipe(tmp_path, data / "two.csv", top, data=split))
    assert "validation.csv: the label 'neutral' (row 62) of validation is in no row of train" in why


def test_temperature_0(models: Models, data: Path, tmp_path: Path, command: Command) -> None:
    top = models.variant("two", [NEGATIVE, POSITIVE], TWO)
    path = a_recipe(tmp_path, data / "two.csv", top)
    path.write_text(
        path.read_text(encoding="utf-8").replace("temperature = 1.0", "temperature = 0"), encoding="utf-8"
    )
    assert "distill.temperature: found 0; expected a number above 0" in refused(command, path)
    set_so = command("run", a_recipe(tmp_path, data / "two.csv", top), "--set", "rungs.0.temperature=0")
    assert set_so.code == 2
    assert "temperature: found 0; expected a number above 0" in set_so.err


def test_very_long_texts(models: Models, data: Path, tmp_path: Path, command: Command) -> None:
    """Of a million characters, cut where each model ends, and answered."""
    rows = [*zip(*corpus(320, 7), strict=True)]
    rows[5], rows[6] = (f"good {'word1 ' * 160_000}", "positive"), (f"bad {'x' * 1_000_000}", "negative")
    write(tmp_path / "long.csv", rows)
    found = done(
        command, a_recipe(tmp_path, tmp_path / "long.csv", models.folder / "roberta", rung={"max_length": 64})
    )
    right(found)
    assert "are longer than 32 and are cut" in found.check
    assert found.bundle.predict([f"good great {'word1 ' * 50_000}"]) == ["positive"]


def test_empty_texts(models: Models, data: Path, tmp_path: Path, command: Command) -> None:
    """With a label they are refused by their rows; without one they teach nothing, and are answered all the same."""
    rows = [*zip(*corpus(320, 7), strict=True)]
    rows[4], rows[8] = ("", "positive"), (" \t ", "negative")
    top = models.variant("two", [NEGATIVE, POSITIVE], TWO)
    why = refused(command, a_recipe(tmp_path, write(tmp_path / "holes.csv", rows), top))
    assert "2 rows have a label but no text in 'text' (rows 6, 10)" in why
    more = write(tmp_path / "more.csv", [["good word1"], [""], ["   "], ["bad word2 word5"]], ("text",))
    found = done(command, a_recipe(tmp_path, data / "two.csv", top, transfer={"unlabeled": str(more)}))
    right(found)
    [source] = found.results["data"]["transfer_facts"]["sources"]
    assert source["kept"] == 2
    for scores in found.bundle.predict_proba(["", "   "]):
        assert np.isfinite(scores).all()
        assert scores.sum() == pytest.approx(1, abs=1e-5)


def test_gradient_accumulation_1_of_32_is_8_of_4_is_4_of_8_in_loss_and_gradient(
    models: Models, data: Path, tmp_path: Path, command: Command
) -> None:
    top = models.variant("two", [NEGATIVE, POSITIVE], TWO)
    losses, gradients = [], []
    for accumulate in (1, 8, 4):
        folder = tmp_path / str(accumulate)
        folder.mkdir()
        rung = {"batch_size": 32 // accumulate, "accumulate": accumulate, "word_dropout": 0.0, "epochs": 3}
        ran = command("run", a_recipe(folder, data / "two.csv", top, rung=rung), "--out", folder / "run")
        assert ran.code == 0, ran.err
        lines = (folder / "run" / "log.jsonl").read_text(encoding="utf-8").splitlines()
        told = [line for line in map(json.loads, lines) if line["event"] == "epoch"]
        losses.append([line["loss"] for line in told])
    assert len(losses[0]) == 3
    assert losses[1] == pytest.approx(losses[0], rel=1e-3)
    assert losses[2] == pytest.approx(losses[0], rel=1e-3)
    context = runs.open_run(recipe.load(tmp_path / "1" / "recipe.toml"), tmp_path / "none")
    texts, labels = context.dataset.train.texts[:32], context.dataset.train.labels[:32]
    for accumulate in (1, 8, 4):
        found = stepdown_student(tmp_path / "1" / "run")
        said = np.stack([-3.0 * (2 * labels - 1), 3.0 * (2 * labels - 1)], 1).astype(np.float32)[None]
        given = train.Examples(found.encode(texts), labels, said)
        collected: dict[str, torch.Tensor] = {}
        for name, parameter in found.network.named_parameters():
            parameter.register_post_accumulate_grad_hook(
                lambda p, name=name, into=collected: into.update({name: p.grad.clone()})
            )
        schedule = train.Schedule(1, 32, 1e-3, accumulate=accumulate)
        objective = Objective(soft_weight=0.7, hard_weight=0.3, temperature=2.0, loss="kl")
        [step] = [
            one
            for one in train.fit(found, given, objective, schedule, accelerator=Accelerator(cpu=True))
            if isinstance(one, train.Step)
        ]
        gradients.append((step.loss, torch.cat([value.flatten() for value in collected.values()])))
    for loss, gradient in gradients[1:]:
        assert loss == pytest.approx(gradients[0][0], rel=1e-5)
        assert torch.allclose(gradient, gradients[0][1], rtol=1e-3, atol=1e-6)


def stepdown_student(run: Path) -> Any:
    """The student of a run as it was kept."""
    from stepdown.students import saved

    return saved.load(run / "cells" / "rung1-one-hop-seed0")
