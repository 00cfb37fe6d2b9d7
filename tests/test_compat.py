"""txtai's trainer and classifier over our own rooms: its own tests' content, its loss, its scores.

The cases are those of txtai's `testtrainer.py` (testBasic, testCustom, testDataFrame, testDataset, testKD,
testMultiLabel, testRegression) on small local models in the true layout, since no test needs a hub.
"""

import json
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import pandas as pd
import pytest
import torch
import torch.nn.functional as F
from transformers import AutoModelForSequenceClassification, AutoTokenizer, EvalPrediction, pipeline

from stepdown import train as training
from stepdown.compat import HFTrainer, Labels, arguments, columns, teaching, trainer
from stepdown.errors import DataError, InputError, ModelError
from stepdown.students.bert_hash import BertHashForSequenceClassification
from stepdown.students.model import logits
from tests.conftest import corpus, make_bert_hash, make_teacher

# Enough for a tiny model with random weights to learn one word.
QUICK = {"learning_rate": 3e-3, "num_train_epochs": 4, "disable_tqdm": True}
NO_DROPOUT = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}


def rows(n: int = 300, seed: int = 0) -> list[dict[str, Any]]:
    texts, labels = corpus(n, seed)
    return [
        {"text": text, "label": int(label == "positive")} for text, label in zip(texts, labels, strict=True)
    ]


@pytest.fixture
def base(tmp_path: Path) -> Path:
    return make_teacher(tmp_path / "base")


@pytest.fixture(scope="module")
def taught(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A classifier that knows the task, as HFTrainer saves it."""
    folder = tmp_path_factory.mktemp("models")
    HFTrainer()(make_teacher(folder / "base"), rows(), output_dir=folder / "taught", **QUICK)
    return folder / "taught"


def parts(folder: Path, **settings: Any) -> tuple[Any, Any]:
    """(model, tokenizer), as a script has them."""
    model = AutoModelForSequenceClassification.from_pretrained(folder, **settings)
    return model, AutoTokenizer.from_pretrained(folder)


def right(labels: Labels, of: list[dict[str, Any]]) -> float:
    answers = labels([row["text"] for row in of])
    return float(np.mean([answer[0][0] == row["label"] for answer, row in zip(answers, of, strict=True)]))


def test_the_recipes_script_runs_with_its_import_line_changed(taught: Path, tmp_path: Path) -> None:
    """Its functions are the published ones; its models are small, and in the true layout of those that it names."""
    ds = {
        "train": datasets.Dataset.from_list(rows()).rename_column("text", "sentence"),
        "validation": datasets.Dataset.from_list(rows(80, seed=1)).rename_column("text", "sentence"),
    }
    maxlength = 32

    def train(teacher: Any, student: str, distillation: Any, **kwargs: Any) -> Any:
        hftrainer = HFTrainer()
        model = AutoModelForSequenceClassification.from_pretrained(student, trust_remote_code=True)
        tokenizer = AutoTokenizer.from_pretrained(student, trust_remote_code=True)
        return hftrainer(
            (model, tokenizer),
            ds["train"],
            columns=("sentence", "label"),
            maxlength=maxlength,
            teacher=teacher,
            distillation=distillation,
            **kwargs,
        )

    def test(model: Any) -> float:
        labels = Labels(model, dynamic=False, trust_remote_code=True)
        results = [
            row["label"] == labels(row["sentence"], max_length=maxlength)[0][0] for row in ds["validation"]
        ]
        return sum(results) / len(ds["validation"])

    mini, femto = make_teacher(tmp_path / "mini"), make_bert_hash(tmp_path / "femto")[0]
    settings = {"learning_rate": 3e-3, "per_device_train_batch_size": 8, "disable_tqdm": True}
    middle = tmp_path / "bert-mini-sst2"
    last = tmp_path / "bert-femto-sst2"
    assert (
        test(
            train(str(taught), str(mini), (1.0, 1.0), **settings, num_train_epochs=4, output_dir=str(middle))
        )
        > 0.9
    )
    assert (
        test(
            train(str(middle), str(femto), (1.0, 1.0), **settings, num_train_epochs=10, output_dir=str(last))
        )
        > 0.9
    )
    with pytest.warns(UserWarning, match="is not empty: the model in it will be replaced"):
        model, tokenizer = train(
            None, str(femto), None, **settings, num_train_epochs=10, output_dir=str(last)
        )
    assert test((model, tokenizer)) > 0.9
    assert isinstance(model, BertHashForSequenceClassification)


@pytest.mark.parametrize("name", ["projections", "proj.0"])
def test_a_script_gets_our_bert_hash_and_no_code_of_the_hub_is_run(tmp_path: Path, name: str) -> None:
    """The checkpoint's `auto_map` names code that would end the process, for the classifier too."""
    folder, weights = make_bert_hash(tmp_path / "femto", name)
    described = json.loads((folder / "config.json").read_text())
    described["auto_map"]["AutoModelForSequenceClassification"] = "modeling.BertHashForSequenceClassification"
    (folder / "config.json").write_text(json.dumps(described))
    (folder / "modeling.py").write_text("raise SystemExit('code of a hub was run')\n")
    for trusted in (True, None):
        model, tokenizer = parts(folder, trust_remote_code=trusted)
        assert type(model) is BertHashForSequenceClassification
        state = model.state_dict()
        for key, value in weights.items():
            assert torch.equal(state["bert." + key.replace(f".{name}.", ".projections.")], value), key
        assert tokenizer("good")["input_ids"] == [2, 5, 3]


def test_basic(base: Path) -> None:
    model, tokenizer = HFTrainer()(str(base), rows(), **QUICK)
    labels = Labels((model, tokenizer), dynamic=False)
    assert labels("good word1")[0][0] == 1
    assert labels("word2 bad")[0][0] == 0
    assert not model.training


def test_custom(base: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model, tokenizer = parts(base)
    settings = {**QUICK, "disable_tqdm": False}
    hftrainer = HFTrainer()
    trained, same = hftrainer(
        (model, tokenizer),
        rows(),
        rows(100, seed=1),
        columns=("text", "label"),
        do_eval=True,
        output_dir=str(tmp_path / "out"),
        **settings,
    )
    assert trained is model, "a given model is trained in place"
    assert same is tokenizer
    assert hftrainer.evaluation["accuracy"] > 0.9
    assert "validation: accuracy" in capsys.readouterr().err
    HFTrainer()(base, rows(20), max_steps=1)
    assert "lacks 2 weights, which start at random" in capsys.readouterr().err
    labels = Labels(str(tmp_path / "out"), dynamic=False)
    assert right(labels, rows(100, seed=1)) == pytest.approx(hftrainer.evaluation["accuracy"], abs=1e-4)


class Frame:
    """What txtai asks of a DataFrame, and no more."""

    def __init__(self, of: list[dict[str, Any]]) -> None:
        self.columns = list(of[0])
        self._of = of

    def __getitem__(self, column: str) -> list[Any]:
        return [row[column] for row in self._of]


class MapStyle(torch.utils.data.Dataset[Any]):
    """What txtai asks of a Dataset, and no more; `column_names` is a method here, as in its test."""

    def __init__(self, of: list[dict[str, Any]]) -> None:
        self._of = of

    def __getitem__(self, index: int) -> dict[str, Any]:
        return self._of[index]

    def column_names(self) -> list[str]:
        return list(self._of[0])


FORMS: dict[str, Callable[[list[dict[str, Any]]], Any]] = {
    "a list of dicts": list,
    "a generator": iter,
    "pandas": pd.DataFrame,
    "a frame of another library": Frame,
    "a Dataset": datasets.Dataset.from_list,
    "a streaming Dataset": lambda of: datasets.Dataset.from_list(of).to_iterable_dataset(),
    "a Dataset of torch": MapStyle,
}


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS.keys())
def test_data_in_every_form_are_the_same_rows(form: Callable[[list[dict[str, Any]]], Any]) -> None:
    expected = rows(20)
    found = columns.read(form(expected), columns.Columns.of(("text", "label")))
    assert found.texts == [row["text"] for row in expected]
    assert found.labels == [row["label"] for row in expected]


@pytest.mark.parametrize("form", ["pandas", "a Dataset", "a Dataset of torch"])
def test_a_model_learns_from_every_form(base: Path, form: str) -> None:
    labels = Labels(HFTrainer()(base, FORMS[form](rows()), **QUICK), dynamic=False)
    assert labels("good word1")[0][0] == 1


def test_knowledge_distillation(base: Path, taught: Path) -> None:
    model = HFTrainer()(base, rows(), teacher=parts(taught), **QUICK)
    assert right(Labels(model, dynamic=False), rows(100, seed=1)) > 0.9


def test_a_student_learns_from_texts_without_labels(base: Path, taught: Path) -> None:
    unlabelled = [{**row, "label": row["label"] if index < 20 else -1} for index, row in enumerate(rows())]
    model = HFTrainer()(base, unlabelled, teacher=str(taught), distillation=(1.0, 1.0), **QUICK)
    assert right(Labels(model, dynamic=False), rows(100, seed=1)) > 0.9
    with pytest.raises(DataError, match="280 of 300 texts have no label"):
        HFTrainer()(base, unlabelled, **QUICK)


def test_sets_of_labels(base: Path) -> None:
    data = [{**row, "label": [1.0, 0.0] if row["label"] == 0 else [0.0, 1.0]} for row in rows()]
    both = [{"text": f"{row['text']} good bad", "label": [1, 1]} for row in rows(seed=2)]
    hftrainer = HFTrainer()
    model, tokenizer = hftrainer(
        base, [*data, *both[100:]], [*data[:100], *both[:100]], **(QUICK | {"num_train_epochs": 8})
    )
    assert model.config.problem_type == "multi_label_classification"
    labels = Labels((model, tokenizer), dynamic=False)
    assert labels("good word1")[0][0] == 1
    answers = labels([row["text"] for row in both[:100]], multilabel=True)
    assert np.mean([min(score for _, score in answer) > 0.5 for answer in answers]) > 0.9
    assert hftrainer.evaluation["micro_f1"] > 0.9


@pytest.mark.parametrize("teacher", [False, True])
def test_numbers(base: Path, teacher: bool) -> None:
    data = [{**row, "label": row["label"] + 0.1} for row in rows()]
    above = HFTrainer()(make_teacher(base.parent / "above"), data, **QUICK) if teacher else None
    model, tokenizer = HFTrainer()(base, data, teacher=above, **QUICK)
    assert (model.config.num_labels, model.config.problem_type) == (1, "regression")
    labels = Labels((model, tokenizer), dynamic=False)
    assert labels("good word1")[0][1] > 0.6, "one output is answered by its sigmoid"
    assert labels("good word1", multilabel=None)[0][1] == pytest.approx(1.1, abs=0.25)
    assert labels("bad word1", multilabel=None)[0][1] == pytest.approx(0.1, abs=0.25)


def test_metrics_of_the_scripts_own_are_asked_as_transformers_asks(base: Path) -> None:
    seen: list[EvalPrediction] = []

    def metrics(of: EvalPrediction) -> dict[str, float]:
        seen.append(of)
        return {"mine": float((of.predictions.argmax(-1) == of.label_ids).mean())}

    hftrainer = HFTrainer()
    hftrainer(base, rows(), rows(60, seed=1), metrics=metrics, eval_strategy="epoch", **QUICK)
    assert len(seen) == 4
    assert seen[0].predictions.shape == (60, 2)
    assert hftrainer.evaluation["mine"] == pytest.approx(hftrainer.evaluation["accuracy"], abs=1e-4)


def prepared(
    base: Path, taught: Path, size: int, accumulate: int, of: list[dict[str, Any]]
) -> trainer.Training:
    settings = arguments.read(
        {
            "per_device_train_batch_size": size,
            "gradient_accumulation_steps": accumulate,
            "max_steps": 1,
            "max_grad_norm": 0,
            "disable_tqdm": True,
        }
    )
    return trainer.prepare(
        parts(base, num_labels=2), of, teacher=parts(taught), distillation=(2.0, 0.3), settings=settings
    )


def test_accumulation_changes_neither_loss_nor_gradient_and_both_are_txtais(
    tmp_path: Path, taught: Path
) -> None:
    """1 pass of 32 = 8 of 4 = 4 of 8: (1 − w) · cross-entropy + w · T² · KL, each the mean over the whole update."""
    base = tmp_path / "base"
    make_teacher(base, **NO_DROPOUT)
    torch.manual_seed(0)
    fresh, tokenizer = parts(base)
    fresh.save_pretrained(base)
    of = rows(32)
    read = tokenizer([row["text"] for row in of], padding=True, return_tensors="pt")
    said = fresh.eval()(**read).logits
    with torch.no_grad():
        above = parts(taught)[0](**read).logits
    target = F.softmax(above / 2, -1)
    soft = F.kl_div(F.log_softmax(said / 2, -1), target, reduction="batchmean") * 2**2
    expected = 0.7 * F.cross_entropy(said, torch.tensor([row["label"] for row in of])) + 0.3 * soft
    expected.backward()
    gradients = {name: p.grad for name, p in fresh.named_parameters()}
    for size, accumulate in ((32, 1), (4, 8), (8, 4)):
        ready = prepared(base, taught, size, accumulate, of)
        found: dict[str, torch.Tensor] = {}
        for name, parameter in ready.given.classifier.named_parameters():
            parameter.register_post_accumulate_grad_hook(
                lambda p, name=name, into=found: into.update({name: p.grad.clone()})
            )
        events = training.fit(
            ready.given.text_model,
            ready.examples,
            ready.objective,
            ready.schedule,
            accelerator=ready.accelerator,
        )
        steps = [event for event in events if isinstance(event, training.Step)]
        assert [step.loss for step in steps] == pytest.approx([expected.item()], rel=1e-5)
        for name, gradient in gradients.items():
            assert gradient is not None
            assert torch.allclose(found[name], gradient, rtol=1e-3, atol=1e-6), (size, accumulate, name)


ONE_UPDATE_AN_EPOCH = {
    "learning_rate": 1e-2,
    "weight_decay": 0.1,
    "num_train_epochs": 4,
    "per_device_train_batch_size": 32,
}
KINDS: dict[str, Callable[[int], Any]] = {
    "classes": lambda label: label,
    "sets": lambda label: [1.0, 0.0, 1.0] if label else [0.0, 1.0, 1.0],
    "numbers": lambda label: 3.5 * label - 1.2,
}


def near(found: torch.nn.Module, expected: torch.nn.Module) -> bool:
    """Whether the weights are the same but for rounding, which Adam's division by small numbers enlarges."""
    theirs = expected.state_dict()
    return all(torch.allclose(value, theirs[name], atol=2e-4) for name, value in found.state_dict().items())


@pytest.fixture
def still(tmp_path: Path) -> Path:
    """A base whose dropout is off, so that nothing is left to chance but the order of the texts."""
    return make_teacher(tmp_path / "still", **NO_DROPOUT)


@pytest.mark.parametrize("kind", KINDS)
def test_weights_move_as_those_of_transformers_trainer(still: Path, tmp_path: Path, kind: str) -> None:
    """With one batch an epoch their order is no matter; loss, optimizer and schedule are what is left."""
    from transformers import DataCollatorWithPadding, Trainer, TrainingArguments

    data = [{**row, "label": KINDS[kind](row["label"])} for row in rows(32)]
    outputs = {"classes": 2, "sets": 3, "numbers": 1}[kind]
    torch.manual_seed(0)
    theirs, tokenizer = parts(still, num_labels=outputs)
    theirs.save_pretrained(tmp_path / "begun")
    examples = [{**tokenizer(row["text"]), "labels": row["label"]} for row in data]
    told = {"use_cpu": True, "report_to": "none", "save_strategy": "no", "disable_tqdm": True}
    Trainer(
        theirs,
        TrainingArguments(str(tmp_path / "theirs"), **ONE_UPDATE_AN_EPOCH, **told),
        train_dataset=examples,
        data_collator=DataCollatorWithPadding(tokenizer),
    ).train()
    begun = AutoModelForSequenceClassification.from_pretrained(tmp_path / "begun", num_labels=outputs)
    assert not near(begun, theirs)
    ours, _ = HFTrainer()((begun, tokenizer), data, **ONE_UPDATE_AN_EPOCH, **told)
    assert near(ours, theirs)


def test_pairs_are_learnt_and_answered_as_transformers_reads_them(still: Path, tmp_path: Path) -> None:
    """Token types included, which tell the two texts apart."""
    from transformers import DataCollatorWithPadding, Trainer, TrainingArguments

    data = [
        {"a": one["text"], "b": other["text"], "label": other["label"]}
        for one, other in zip(rows(32), rows(32, seed=1), strict=True)
    ]
    torch.manual_seed(0)
    theirs, tokenizer = parts(still)
    theirs.save_pretrained(tmp_path / "begun")
    told = {"use_cpu": True, "report_to": "none", "save_strategy": "no", "disable_tqdm": True}
    Trainer(
        theirs,
        TrainingArguments(str(tmp_path / "theirs"), **ONE_UPDATE_AN_EPOCH, **told),
        train_dataset=[{**tokenizer(row["a"], row["b"]), "labels": row["label"]} for row in data],
        data_collator=DataCollatorWithPadding(tokenizer),
    ).train()
    begun = AutoModelForSequenceClassification.from_pretrained(tmp_path / "begun")
    hftrainer, ours = HFTrainer(), tmp_path / "ours"
    model = hftrainer(
        (begun, tokenizer),
        data,
        columns=("a", "b", "label"),
        output_dir=ours,
        **ONE_UPDATE_AN_EPOCH,
        **told,
    )
    assert near(model[0], theirs)
    asked = [{"text": row["a"], "text_pair": row["b"]} for row in data]
    answers = pipeline("text-classification", model=model[0], tokenizer=tokenizer, device="cpu")(
        asked, top_k=None
    )
    expected = [[(int(one["label"][-1]), one["score"]) for one in answer] for answer in answers]
    for given in (model, ours):
        labels = Labels(given, dynamic=False)
        assert all(same(*pair) for pair in zip(labels(asked), expected, strict=True))
        assert same(labels([(data[0]["a"], data[0]["b"])])[0], expected[0])
    # A model that nobody called one of pairs, as those of the hub are, reads them when it is asked about one.
    del model[0].config.is_pair
    assert same(Labels(model, dynamic=False)(asked[0]), expected[0])
    with pytest.warns(UserWarning, match="hardly knows"):  # after four updates
        taught = hftrainer(still, data, columns=("a", "b", "label"), teacher=model, max_steps=1, **told)
    assert taught[0].config.is_pair


def test_weights_move_as_those_of_txtais_distillation(still: Path, taught: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of libraries that are no business of ours
        txtai = pytest.importorskip("txtai.pipeline", reason="txtai is not installed, and need not be")
        theirs, reader = parts(still)
        begun, _ = parts(still)
        begun.load_state_dict(theirs.state_dict())
        shared = {"teacher": parts(taught), "distillation": (2.0, 0.3), "disable_tqdm": True}
        txtai.HFTrainer()((theirs, reader), rows(32), **shared, **ONE_UPDATE_AN_EPOCH)
    ours, _ = HFTrainer()((begun, reader), rows(32), **shared, **ONE_UPDATE_AN_EPOCH)
    assert near(ours, theirs)


def test_a_teacher_reads_each_text_once_with_its_own_tokenizer(
    tmp_path: Path, base: Path, taught: Path
) -> None:
    """Its vocabulary may be another than the student's, and it is not asked again in every epoch, or run."""
    other = make_teacher(tmp_path / "other")
    words = (other / "vocab.txt").read_text().splitlines()
    (other / "vocab.txt").write_text("\n".join([*words[:5], *reversed(words[5:])]) + "\n")
    teacher, reader = HFTrainer()(other, rows(), **QUICK)
    texts: list[int] = []
    teacher.register_forward_hook(lambda module, given, said: texts.append(len(said.logits)))
    data = [*rows(100), *rows(100)]
    distilled = {**QUICK, "num_train_epochs": 8}
    model = HFTrainer()(base, data, teacher=(teacher, reader), distillation=(1.0, 1.0), **distilled)
    assert sum(texts) == len({row["text"] for row in data})
    HFTrainer()(
        base, data, teacher=(teacher, reader), distillation=(1.0, 1.0), max_steps=1, disable_tqdm=True
    )
    assert sum(texts) == len({row["text"] for row in data}), "what it said is kept in the cache"
    assert right(Labels(model, dynamic=False), rows(100, seed=1)) > 0.9


def test_a_teacher_whose_labels_come_in_another_order_is_put_right_with_a_warning(base: Path) -> None:
    swapped = [{**row, "label": 1 - row["label"]} for row in rows()]
    teacher = HFTrainer()(make_teacher(base.parent / "swapped"), swapped, **QUICK)
    with pytest.warns(UserWarning, match="come in another order than the data's"):
        model = HFTrainer()(base, rows(), teacher=teacher, distillation=(1.0, 1.0), **QUICK)
    assert right(Labels(model, dynamic=False), rows(100, seed=1)) > 0.9


def test_a_teacher_that_knows_nothing_is_warned_of(base: Path, taught: Path) -> None:
    draw = np.random.default_rng(7)
    guessed = [{**row, "label": int(draw.integers(0, 2))} for row in rows()]
    with pytest.warns(UserWarning, match="hardly knows this task"):
        HFTrainer()(base, guessed, teacher=taught, max_steps=1, disable_tqdm=True)


def test_a_teacher_without_a_trained_head_or_for_another_task_is_refused(base: Path, taught: Path) -> None:
    with pytest.raises(ModelError, match="no trained classification head"):
        HFTrainer()(base, rows(), teacher=make_teacher(base.parent / "headless"), disable_tqdm=True)
    three = [{**row, "label": index % 3} for index, row in enumerate(rows())]
    with pytest.raises(ModelError, match="The teacher has 2 labels and the data has 3"):
        HFTrainer()(base, three, teacher=taught, disable_tqdm=True)


def test_teachers_of_one_output_stand_for_two_labels(base: Path) -> None:
    settings = {**QUICK, "disable_tqdm": True}
    numbers = [{**row, "label": 4.0 * row["label"] - 2.5} for row in rows()]
    model, tokenizer = HFTrainer()(base, numbers, **settings)
    model.config.problem_type = None  # as of a head trained with binary cross-entropy
    found = columns.understand(columns.read(rows(), columns.Columns()))
    asked = trainer.models.to_ask((model, tokenizer))
    said = teaching.said(
        asked, found.splits[0], found.task, precision=torch.float32, progress=lambda done, total: None
    )
    assert said.shape == (1, 300, 2)
    assert (said[0].argmax(1) == found.splits[0].labels).mean() > 0.9


def same(found: list[tuple[int, float]], expected: list[tuple[int, float]]) -> bool:
    ids = [label for label, _ in found] == [label for label, _ in expected]
    return ids and np.allclose([score for _, score in found], [score for _, score in expected], atol=1e-6)


@pytest.mark.parametrize("outputs", [1, 2, 3])
@pytest.mark.parametrize(("multilabel", "function"), [(False, "softmax"), (True, "sigmoid"), (None, "none")])
def test_scores_are_those_of_transformers_pipeline(
    base: Path, outputs: int, multilabel: bool | None, function: str
) -> None:
    """txtai's Labels is that pipeline with `top_k=None`, and a sigmoid over a single output."""
    torch.manual_seed(0)
    model, tokenizer = parts(base, num_labels=outputs)
    function = "sigmoid" if outputs == 1 and function == "softmax" else function
    theirs = pipeline("text-classification", model=model, tokenizer=tokenizer, device="cpu")
    texts = [row["text"] for row in rows(12)]
    expected = [
        [(model.config.label2id[one["label"]], one["score"]) for one in answer]
        for answer in theirs(texts, top_k=None, function_to_apply=function)
    ]
    ours = Labels((model, tokenizer), dynamic=False)
    found = ours(texts, multilabel=multilabel)
    assert all(same(*pair) for pair in zip(found, expected, strict=True))
    assert same(ours(texts[0], multilabel=multilabel), expected[0])


def test_answers_are_narrowed_and_flattened(base: Path) -> None:
    torch.manual_seed(0)
    model, tokenizer = parts(base, num_labels=3)
    model.config.id2label = {0: "No", 1: "Yes", 2: "Maybe"}
    model.config.label2id = {"No": 0, "Yes": 1, "Maybe": 2}
    labels = Labels((model, tokenizer), dynamic=False)
    whole = labels("good word1")
    names = ["No", "Yes", "Maybe"]
    assert labels.labels() == names
    assert [score for _, score in whole] == sorted((score for _, score in whole), reverse=True)
    assert sum(score for _, score in whole) == pytest.approx(1)
    assert labels("good word1", ["yes", "2", "unknown"]) == [pair for pair in whole if pair[0] in (1, 2)]
    assert labels("good word1", flatten=True) == [names[whole[0][0]]]
    assert labels("good word1", flatten=whole[1][1]) == [names[label] for label, _ in whole[:2]]
    assert labels("good word1", ["Yes"], flatten=0.01) == ["Yes"]
    assert labels(["good word1"] * 2) == [whole, whole]
    long = "good " + "word1 " * 60
    assert same(labels(long, max_length=5), labels("good word1 word1")), "[CLS] good word1 word1 [SEP]"


def test_a_saved_model_says_the_same_in_transformers_and_in_txtai(taught: Path) -> None:
    texts = [row["text"] for row in rows(20, seed=3)]
    ours = Labels(taught, dynamic=False)(texts)
    theirs = pipeline("text-classification", model=str(taught), device="cpu")(texts, top_k=None)
    assert all(
        same(found, [(int(one["label"][-1]), one["score"]) for one in answer])
        for found, answer in zip(ours, theirs, strict=True)
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of libraries that are no business of ours
        txtai = pytest.importorskip("txtai.pipeline", reason="txtai is not installed, and need not be")
        answers = txtai.Labels(str(taught), dynamic=False)(texts)
    assert all(same(*pair) for pair in zip(ours, answers, strict=True))


def test_files_that_are_no_part_of_a_model_stay_where_it_is_saved(base: Path, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("keep me")
    with pytest.warns(UserWarning, match="is not empty"):
        HFTrainer()(base, rows(40), output_dir=tmp_path, max_steps=1, disable_tqdm=True)
    assert (tmp_path / "notes.txt").read_text() == "keep me"
    assert Labels(tmp_path, dynamic=False)("good")
    with pytest.raises(InputError, match="is a file"):
        HFTrainer()(base, rows(40), output_dir=tmp_path / "notes.txt")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        again = {"max_steps": 1, "disable_tqdm": True, "overwrite_output_dir": True}
        HFTrainer()(base, rows(40), output_dir=tmp_path, **again)


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "lora": ({"lora": True}, "lora: all weights are trained"),
    "quantize": ({"quantize": True}, "quantize: weights are trained as float32"),
    "stride": ({"stride": 64}, "stride: .*maxlength cuts a text"),
    "prefix": ({"prefix": "translate: "}, "prefix: .*put it before the texts"),
    "checkpoint": ({"checkpoint": "here"}, "checkpoint: .*takes up an interrupted run"),
    "merge": ({"merge": "pack"}, "merge: it is for language models"),
    "another task": ({"task": "question-answering"}, "task: text-classification is trained here"),
    "the best epoch": (
        {"load_best_model_at_end": True},
        "load_best_model_at_end=True: .*the last epoch is kept",
    ),
    "another optimizer": ({"optim": "adafactor"}, "optim='adafactor': .*AdamW"),
    "another schedule": ({"lr_scheduler_type": "polynomial"}, "`linear` or `cosine`"),
    "smoothing": ({"label_smoothing_factor": 0.1}, "labels are taken as they are"),
    "other betas": ({"adam_beta1": 0}, "adam_beta1=0: not supported: leave it at 0.9"),
    "an upload": ({"push_to_hub": True}, "nothing is uploaded"),
    "a tracker": ({"report_to": "wandb"}, "progress is told on stderr"),
    "rows left out": ({"dataloader_drop_last": True}, "every text is learnt from"),
    "a misspelt name": ({"learning_rte": 1e-3}, "did you mean learning_rate?"),
    "no size": ({"per_device_train_batch_size": 0}, "a whole number of at least 1"),
    "no number": ({"learning_rate": "fast"}, "learning_rate='fast': could not convert"),
    "too warm": ({"warmup_ratio": 1.0}, "a share from 0 to below 1"),
    "a weight above 1": ({"distillation": 2.0}, "share of the teacher from 0 to 1"),
    "three columns too many": ({"columns": ("a", "b", "c", "d")}, "expected \\(text, label\\)"),
    "no model": ({"base": 3}, "expected a name, a folder or \\(model, tokenizer\\)"),
}


@pytest.mark.parametrize(("given", "says"), REFUSED.values(), ids=REFUSED.keys())
def test_what_is_not_done_is_refused_by_name(base: Path, given: dict[str, Any], says: str) -> None:
    with pytest.raises(InputError, match=says):
        HFTrainer()(**{"base": base, "train": rows(20), **given})


def test_all_arguments_that_are_wrong_are_told_at_once(base: Path) -> None:
    with pytest.raises(InputError) as caught:
        HFTrainer()(base, rows(20), optim="sgd", seed=-1)
    assert str(caught.value).count("\n  - ") == 2


def test_what_changes_no_result_is_taken(base: Path) -> None:
    harmless = {
        "logging_steps": 10,
        "save_strategy": "epoch",
        "save_total_limit": 2,
        "report_to": "none",
        "eval_strategy": "steps",
        "eval_steps": 5,
        "dataloader_num_workers": 2,
        "per_device_eval_batch_size": 64,
        "gradient_checkpointing": True,
        "optim": "adamw_torch",
        "adam_beta2": 0.999,
        "group_by_length": True,
        "trust_remote_code": True,
        "push_to_hub": False,
    }
    few = {**QUICK, "max_steps": 3}
    plain = HFTrainer()(base, rows(40), **few)[0].state_dict()
    found = HFTrainer()(base, rows(40), tokenizers=4, tokenizebatch=50, **few, **harmless)[0].state_dict()
    assert all(torch.equal(plain[name], value) for name, value in found.items())


def test_labels_refuses_what_it_does_not_do(taught: Path) -> None:
    with pytest.raises(InputError, match="pass dynamic=False"):
        Labels(taught)
    with pytest.raises(InputError, match="quantize is not supported"):
        Labels(taught, quantize=True, dynamic=False)
    with pytest.raises(InputError, match="does not support top_k"):
        Labels(taught, dynamic=False)("good", top_k=1)
    with pytest.raises(InputError, match="a text is 3"):
        Labels(taught, dynamic=False)(["good", 3])


def test_students_of_our_own_answer_and_teach_too(base: Path, tmp_path: Path) -> None:
    from stepdown.students import building, compact, saved
    from stepdown.tokens.words import Words

    words = Words(("bad", "good", "word1"))
    student = building.untaught(words, compact.shape_for(3_000, 5, 2), ["LABEL_0", "LABEL_1"], 16)
    (tmp_path / "student").mkdir()
    saved.save(student, tmp_path / "student")
    labels = Labels(tmp_path / "student", dynamic=False)
    scores = F.softmax(torch.from_numpy(logits(student, student.encode(["good word1"]))), -1)[0]
    assert sorted(score for _, score in labels("good word1")) == pytest.approx(sorted(scores.tolist()))
    with pytest.raises(ModelError, match="reads single texts"):
        labels([("good", "bad")])
    with pytest.warns(UserWarning, match="hardly knows"):
        HFTrainer()(base, rows(40), teacher=tmp_path / "student", max_steps=1, disable_tqdm=True)


DATA: dict[str, tuple[Any, str]] = {
    "splits": ({"train": rows(4)}, "take one of them, such as data\\['train'\\]"),
    "no rows": ([], "there are no rows"),
    "no dicts": (["good"], "row 0 is a str; expected a dict with text, label"),
    "no label column": ([{"text": "good", "mood": 1}], "row 0 has no column label; it has text, mood"),
    "no text": ([{"text": None, "label": 1}], "row 0 of column text is None"),
    "labels by name": ([{"text": "good", "label": "yes"}], "stepdown.distill takes labels by name"),
    "no label at all": ([{"text": "good", "label": None}], "no row has a label"),
    "unlabelled texts alone": ([{"text": "good", "label": -1}], "no training text has a label"),
    "one label": ([{"text": "good", "label": 0}] * 2, "all labels are 0"),
    "a gap": (
        [{"text": "good", "label": label} for label in (1, 2)],
        "labels are 1, 2; expected every whole number",
    ),
    "lists of two lengths": (
        [{"text": "good", "label": label} for label in ([0, 1], [1])],
        "the label of row 1 is \\[1\\]; the first one is \\[0, 1\\]",
    ),
    "lists among numbers": (
        [{"text": "good", "label": label} for label in ([0, 1], 1)],
        "the label of row 1 is 1",
    ),
    "a list of large numbers": ([{"text": "good", "label": [3, 4]}], "1 for what applies"),
}


@pytest.mark.parametrize(("data", "says"), DATA.values(), ids=DATA.keys())
def test_data_that_cannot_be_used_are_told_in_a_sentence(base: Path, data: Any, says: str) -> None:
    with pytest.raises(DataError, match=says):
        HFTrainer()(base, data)


def test_labels_that_training_lacks_are_no_validation(base: Path) -> None:
    with pytest.raises(DataError, match="labels are 0, 1, 2"):
        HFTrainer()(base, rows(20), [{"text": "good", "label": 2}])
    with pytest.raises(DataError, match="no validation text has a label"):
        HFTrainer()(base, rows(20), [{"text": "good", "label": -1}])


def test_a_pair_is_one_string_with_its_texts_in_order() -> None:
    data = [{"a": "one", "b": "two", "label": 0}]
    assert columns.read(data, columns.Columns.of(("a", "b", "label"))).texts == ["one\x1ftwo"]
    assert columns.read(data, columns.Columns.of(("a", None, "label"))).texts == ["one"]
    of_pairs = [{"a": "one", "b": "two", "label": label} for label in (0, 1)]
    found = trainer._labels(of_pairs, None, columns.Columns.of(("a", "b", "label")), has_teacher=False)
    assert found.task.is_pair


def test_a_given_model_must_have_as_many_outputs_as_the_data_asks_for(base: Path) -> None:
    with pytest.raises(ModelError, match="num_labels=2"):
        HFTrainer()(parts(base, num_labels=5), rows(20))


@pytest.mark.parametrize(
    ("given", "updates"),
    [
        ({"num_train_epochs": 2}, 8),
        ({"num_train_epochs": 0.5}, 2),
        ({"max_steps": 5}, 5),
        ({"per_device_train_batch_size": 4, "gradient_accumulation_steps": 8, "num_train_epochs": 1}, 4),
    ],
)
def test_updates_are_counted_as_transformers_does(base: Path, given: dict[str, Any], updates: int) -> None:
    """100 texts, 32 an update."""
    settings = arguments.read({"per_device_train_batch_size": 32, "disable_tqdm": True, **given})
    ready = trainer.prepare(base, rows(100), settings=settings)
    events = list(
        training.fit(
            ready.given.text_model,
            ready.examples,
            ready.objective,
            ready.schedule,
            accelerator=ready.accelerator,
        )
    )
    steps = [event for event in events if isinstance(event, training.Step)]
    assert [step.done for step in steps] == list(range(1, updates + 1))
    assert {step.total for step in steps} == {updates}
    assert isinstance(events[-1], training.Epoch)
    assert events[-1].done == events[-1].total


@pytest.mark.parametrize(
    ("given", "rising"), [({}, 0), ({"warmup_steps": 7}, 7), ({"warmup_ratio": 0.25}, 10)]
)
def test_the_learning_rate_falls_as_that_of_transformers(given: dict[str, Any], rising: int) -> None:
    """Where it rises, ours is one update ahead: transformers' first update has a rate of 0 and changes nothing."""
    from transformers import get_linear_schedule_with_warmup

    schedule = arguments.read({"max_steps": 40, **given}).schedule(100)
    weight = torch.nn.Parameter(torch.zeros(1))
    optimizer = torch.optim.SGD([weight], lr=1.0)
    theirs = get_linear_schedule_with_warmup(optimizer, rising, 40)
    for done in range(40):
        ahead = 1 / rising if done < rising else 0.0
        assert training._rate(done, 40, schedule) == pytest.approx(theirs.get_last_lr()[0] + ahead)
        optimizer.step()
        theirs.step()


def test_arithmetic_and_the_fall_of_the_rate_are_chosen_by_transformers_names() -> None:
    chosen = arguments.read({"bf16": True, "lr_scheduler_type": "cosine", "no_cuda": True})
    assert (chosen.precision, chosen.decay, chosen.use_cpu) == ("bfloat16", "cosine", True)
    plain = arguments.read({"bf16": False, "fp16": False, "output_dir": ""})
    assert (plain.precision, plain.decay, plain.output_dir) == ("float32", "linear", None)
    assert arguments.read({"fp16": True}).precision == "fastest"


def test_a_models_own_head_and_names_are_kept(base: Path, taught: Path) -> None:
    described = json.loads((taught / "config.json").read_text())
    named = taught.parent / "named"
    named.mkdir()
    for file in taught.iterdir():
        (named / file.name).write_bytes(file.read_bytes())
    described |= {"id2label": {"0": "no", "1": "yes"}, "label2id": {"no": 0, "yes": 1}}
    (named / "config.json").write_text(json.dumps(described))
    ready = trainer.prepare(named, rows(20), settings=arguments.read({}))
    assert ready.given.text_model.label_names == ("no", "yes")
    kept = Labels(taught, dynamic=False)
    encoded = ready.given.text_model.encode(["good word1"])
    assert np.allclose(
        logits(ready.given.text_model, encoded)[0].max(), kept("good word1", multilabel=None)[0][1]
    )
