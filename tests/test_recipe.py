"""Recipes: the schema, every fault at once, --set, paths, files, the way back, and what init writes."""

import os
import re
import tomllib
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stepdown.assets.builtin import BUILTINS
from stepdown.data.files import SUFFIXES
from stepdown.errors import RecipeError
from stepdown.recipe import dump, load, load_sources, parse, score_columns, shipped, template
from stepdown.recipe.faults import TABLES, literal
from stepdown.recipe.paths import DATA_SUFFIXES, absolute
from stepdown.recipe.rules import BUILTIN_DATA, BUILTIN_MODELS
from stepdown.recipe.sets import apply
from stepdown.recipe.settings import (
    DEFAULTS,
    Kind,
    batch_size_for,
    embedding_rate_for,
    fine_tuning_epochs,
    fine_tuning_rate,
    loss_for,
)
from stepdown.recipe.template import run_name

SMALL = """
name = "small"

[data]
source = "user/reviews:plain"
text = "text"
label = "label"

[teacher]
model = "user/teacher"

[[rungs]]
model = "user/student"

[[rungs]]
model = "compact"
max_params = 250_000
"""


def small(**tables: Any) -> dict[str, Any]:
    """The recipe above with keys of its tables changed; None takes a key or a table out."""
    recipe: dict[str, Any] = tomllib.loads(SMALL)
    for name, changes in tables.items():
        if isinstance(changes, dict) and isinstance(recipe.get(name, {}), dict):
            merged = recipe.get(name, {}) | changes
            recipe[name] = {key: value for key, value in merged.items() if value is not None}
        else:
            recipe[name] = changes
    return {name: value for name, value in recipe.items() if value is not None}


def with_rung(**rung: Any) -> dict[str, Any]:
    return small(rungs=[rung])


def faults_of(recipe: Mapping[str, Any]) -> list[str]:
    with pytest.raises(RecipeError) as caught:
        parse(recipe)
    return caught.value.faults


def write(folder: Path, text: str, name: str = "recipe.toml") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


# What a recipe means


def test_defaults_are_those_of_the_design() -> None:
    recipe = parse(small())
    assert (recipe.seed, recipe.transfer, recipe.data.max_length) == (0, None, 128)
    assert (recipe.data.selection_fraction, recipe.data.report_fraction) == (0.1, 0.1)
    assert (recipe.teacher.epochs, recipe.teacher.learning_rate, recipe.teacher.batch_size) == (
        None,
        None,
        32,
    )
    assert (recipe.distill.temperature, recipe.distill.soft_weight, recipe.distill.hard_weight) == (1, 1, 0)
    assert (recipe.compare.arms, recipe.compare.seeds) == (("direct", "one-hop", "chain", "dense"), 3)


@pytest.mark.parametrize(
    ("rung", "settings"),
    [
        (
            {"model": "user/student"},
            {"kind": "huggingface", "loss": "kl", "epochs": 5, "learning_rate": 1e-4, "batch_size": 32}
            | {
                "weight_decay": 0.01,
                "warmup": 0.1,
                "ema": None,
                "accumulate": 1,
                "layers": None,
                "clip": 6.0,
            },
        ),
        (
            {"model": "teacher:3"},
            {"kind": "teacher-layers", "layers": 3, "loss": "kl", "epochs": 3, "learning_rate": 5e-5}
            | {"batch_size": 32, "weight_decay": 0.01, "warmup": 0.1, "ema": None, "max_params": None},
        ),
        (
            {"model": "compact", "max_params": 250_000},
            {"kind": "compact", "max_params": 250_000, "loss": None, "epochs": None, "learning_rate": 4e-3}
            | {"batch_size": None, "weight_decay": 0.01, "warmup": 0.05, "ema": 0.999, "layers": None}
            | {"core": "gru", "max_bytes": None, "word_dropout": 0.1, "hint_weight": 0.0},
        ),
        (
            {"model": "compact", "max_bytes": 900_000, "core": "conv"},
            {"kind": "compact", "max_params": None, "max_bytes": 900_000, "core": "conv"}
            | {"learning_rate": 8e-3, "epochs": None},
        ),
        (
            {"model": "bag", "max_params": 250_000},
            {"kind": "bag", "max_params": 250_000, "loss": None, "epochs": None, "learning_rate": 2e-2}
            | {"batch_size": None, "weight_decay": 0.01, "warmup": 0.05, "ema": 0.999, "layers": None}
            | {"core": None},
        ),
    ],
)
def test_each_kind_of_rung_has_its_own_defaults(rung: dict[str, Any], settings: dict[str, Any]) -> None:
    resolved = asdict(parse(with_rung(**rung)).resolved_rung(0))
    assert {key: resolved[key] for key in settings} == settings


def test_a_rung_comes_before_distill_and_distill_before_the_kind() -> None:
    distill = {"loss": "kl", "temperature": 3, "hard_weight": 0.5, "class_weights": True}
    rungs = [
        {"model": "compact", "max_params": 9000},
        {
            "model": "compact",
            "max_params": 9000,
            "loss": "mse",
            "temperature": 2,
            "class_weights": False,
            "ema": 0,
        },
    ]
    recipe = parse(small(distill=distill, rungs=rungs))
    first, second = recipe.resolved_rung(0), recipe.resolved_rung(1)
    assert (first.loss, first.temperature, first.hard_weight, first.class_weights) == ("kl", 3, 0.5, True)
    assert (second.loss, second.temperature, second.hard_weight, second.class_weights) == (
        "mse",
        2,
        0.5,
        False,
    )
    assert (first.ema, second.ema) == (0.999, None)


def test_the_passes_over_the_labels_that_follow_are_off_until_they_are_asked_for() -> None:
    rung = parse(small()).resolved_rung(1)
    assert rung.gold_epochs == 0
    recipe = parse(small(distill={"gold_epochs": 2}))
    assert [recipe.resolved_rung(i).gold_epochs for i in range(2)] == [2, 2]
    assert [recipe.resolved_rung(i).gold_learning_rate for i in range(2)] == pytest.approx([1e-5, 4e-4])
    # What a default came to is written down, where it is used.
    assert recipe.rungs[1].gold_learning_rate == pytest.approx(4e-4)
    assert parse(small()).rungs[1].gold_learning_rate is None
    own = parse(with_rung(model="user/a", gold_epochs=1, gold_learning_rate=1e-3)).resolved_rung(0)
    assert (own.gold_epochs, own.gold_learning_rate) == (1, 1e-3)


def test_a_rung_that_is_not_there_is_an_index_error() -> None:
    with pytest.raises(IndexError):
        parse(small()).resolved_rung(2)


def test_a_string_and_a_list_of_one_mean_the_same() -> None:
    listed = small(data={"text": ["text"], "label": ["label"]}, teacher={"model": ["user/teacher"]})
    assert parse(listed) == parse(small())


def test_whole_numbers_serve_as_numbers() -> None:
    assert parse(small(distill={"temperature": 2})).distill.temperature == 2.0


def test_features_that_are_carried_out_are_accepted() -> None:
    transfer = {"unlabeled": ["user/more:plain#unsupervised"], "text": "body", "split_sentences": True}
    recipe = parse(small(transfer=transfer | {"max_texts": 10}, teacher={"label_map": {"LABEL_0": "bad"}}))
    assert recipe.transfer is not None
    assert recipe.transfer.unlabeled == ("user/more:plain#unsupervised",)
    assert recipe.teacher.label_map == {"LABEL_0": "bad"}


def test_a_recipe_does_not_change() -> None:
    with pytest.raises(ValueError, match="frozen"):
        parse(small()).seed = 1


# Faults: one key


@pytest.mark.parametrize(
    ("tables", "expected"),
    [
        ({"name": "my run"}, 'name: found "my run"; expected a name'),
        ({"name": "../up"}, "name: found"),
        ({"name": None}, "name: missing; expected a name"),
        ({"seed": -1}, "seed: found -1; expected a whole number"),
        ({"seed": True}, "seed: found true; expected a whole number"),
        ({"data": "reviews.csv"}, 'data: found "reviews.csv"; expected the table [data]'),
        ({"data": None}, "data: missing; expected the table [data]"),
        ({"teacher": None}, "teacher: missing; expected the table [teacher]"),
        ({"rungs": None}, "rungs: missing; expected at least one table [[rungs]], with double brackets"),
        ({"rungs": []}, "rungs: found []; expected at least one table [[rungs]]"),
        ({"rungs": {"model": "compact"}}, "rungs: found { model"),
        ({"rungs": ["compact"]}, 'rungs.0: found "compact"; expected a table, [[rungs]]'),
        ({"data": {"text": None}}, "data.text: missing; expected the name of the column"),
        ({"data": {"text": []}}, "data.text: found []; expected the name of the column"),
        ({"data": {"text": [""]}}, 'data.text.0: found ""; expected the name of the column'),
        ({"data": {"text": 3}}, "data.text: found 3; expected the name of the column"),
        ({"data": {"max_length": 2}}, "data.max_length: found 2; expected a whole number, at least 4"),
        ({"data": {"selection_fraction": 0.0}}, "data.selection_fraction: found 0.0; expected a number"),
        ({"data": {"report_fraction": 0.6}}, "data.report_fraction: found 0.6; expected a number above 0,"),
        ({"data": {"label_names": ["one"]}}, 'data.label_names: found ["one"]; expected a list of at least'),
        ({"data": {"task": "single-lable"}}, 'Did you mean "single-label"?'),
        ({"transfer": {"max_texts": 0}}, "transfer.max_texts: found 0; expected a whole number, at least 1"),
        ({"transfer": {"split_sentences": "yes"}}, 'transfer.split_sentences: found "yes"; expected true'),
        ({"teacher": {"epochs": 0}}, "teacher.epochs: found 0; expected a whole number, at least 1"),
        ({"teacher": {"epochs": 2.5}}, "teacher.epochs: found 2.5; expected a whole number"),
        ({"teacher": {"learning_rate": 0}}, "teacher.learning_rate: found 0; expected a number above 0"),
        ({"teacher": {"learning_rate": float("nan")}}, "teacher.learning_rate: found nan; expected a"),
        ({"teacher": {"learning_rate": float("inf")}}, "teacher.learning_rate: found inf; expected a"),
        ({"teacher": {"label_map": {"LABEL_0": 1}}}, "teacher.label_map.LABEL_0: found 1; expected a table"),
        ({"distill": {"temperature": 0}}, "distill.temperature: found 0; expected a number above 0: 1.0"),
        ({"distill": {"soft_weight": -1}}, "distill.soft_weight: found -1; expected a number, 0 or above"),
        ({"distill": {"hard_weight": -0.5}}, "distill.hard_weight: found -0.5; expected a number, 0 or"),
        ({"distill": {"loss": "kll"}}, 'distill.loss: found "kll"; expected "kl" or "mse"'),
        ({"distill": {"loss": "kll"}}, 'Did you mean "kl"?'),
        ({"distill": {"clip": 0}}, "distill.clip: found 0; expected a number above 0"),
        ({"compare": {"seeds": 0}}, "compare.seeds: found 0; expected a whole number, at least 1"),
        ({"compare": {"arms": []}}, "compare.arms: found []; expected a list of direct"),
        ({"compare": {"arms": ["chain", "one_hop"]}}, 'compare.arms.1: found "one_hop"; expected one of'),
        ({"compare": {"arms": ["chain", "one_hop"]}}, 'Did you mean "one-hop"?'),
    ],
)  # fmt: skip
def test_a_faulty_key_is_named_with_what_was_found_and_expected(
    tables: dict[str, Any], expected: str
) -> None:
    [fault] = faults_of(small(**tables))
    assert expected in fault


@pytest.mark.parametrize(
    ("rung", "expected"),
    [
        ({"epochs": 0}, "rungs.0.epochs: found 0; expected a whole number, at least 1"),
        ({"learning_rate": -1e-4}, "rungs.0.learning_rate: found -0.0001; expected a number above 0"),
        ({"batch_size": 0}, "rungs.0.batch_size: found 0"),
        ({"accumulate": 0}, "rungs.0.accumulate: found 0"),
        ({"weight_decay": -1}, "rungs.0.weight_decay: found -1"),
        ({"warmup": 1.0}, "rungs.0.warmup: found 1.0; expected a number from 0 to below 1"),
        ({"ema": 1.0}, "rungs.0.ema: found 1.0; expected a number from 0 (off) to below 1"),
        ({"temperature": -2}, "rungs.0.temperature: found -2; expected a number above 0"),
        ({"soft_weight": -2}, "rungs.0.soft_weight: found -2; expected a number, 0 or above"),
        ({"class_weights": 1}, "rungs.0.class_weights: found 1; expected true or false"),
        ({"model": ""}, 'rungs.0.model: found ""; expected a hub id'),
        ({"model": None}, "rungs.0.model: missing; expected a hub id"),
        ({"model": "compact", "max_params": 4_999}, "rungs.0.max_params: found 4999; expected a whole"),
        ({"model": "compact", "max_params": 250e3}, "rungs.0.max_params: found 250000.0; expected a whole"),
        ({"model": "compact"}, 'rungs.0.max_params: missing; "compact" is built to a budget'),
        ({"model": "compact", "max_bytes": 49_999}, "rungs.0.max_bytes: found 49999; expected a whole number"),
        ({"model": "bag"}, 'rungs.0.max_params: missing; "bag" is built to a budget, expected a number of'),
        ({"model": "bagg", "max_params": 9_000}, 'rungs.0.model: found "bagg". Did you mean "bag"?'),
        ({"max_bytes": 250_000}, 'own size; a budget is for "compact" and "bag"'),
        ({"model": "compact", "max_params": 9_000, "core": "lstm"}, 'rungs.0.core: found "lstm"; expected "gru", "f'),
        ({"model": "bag", "max_params": 9_000, "core": "conv"}, 'rungs.0.core: found "conv", but "bag" has no core'),
        ({"model": "bag", "max_params": 9_000, "hidden": 8}, 'rungs.0.hidden: found 8, but "bag" has no core'),
        ({"model": "compact", "max_params": 9_000, "hidden": 3}, "rungs.0.hidden: found 3; expected a whole number"),
        ({"hidden": 32}, 'rungs.0.hidden: found 32, but "user/student" has no core to choose; the size of a core'),
        ({"hint_weight": 1}, 'rungs.0.hint_weight: found 1, but "user/student" takes no hints; they are for'),
        ({"model": "bag", "max_params": 9_000, "hint_weight": 1}, 'found 1, but "bag" takes no hints; they'),
        ({"word_dropout": 0.1}, 'rungs.0.word_dropout: found 0.1, but "user/student" does not read whole words'),
        ({"embedding_rate": 0.1}, 'rungs.0.embedding_rate: found 0.1, but "user/student" does not read whole words'),
        ({"embedding_rate": 0}, 'rungs.0.embedding_rate: found 0, but "user/student" does not read whole words'),
        ({"model": "bag", "max_params": 9_000, "word_dropout": 1}, "rungs.0.word_dropout: found 1; expected a number"),
        ({"core": "gru"}, 'rungs.0.core: found "gru", but "user/student" has no core to choose; a core is for'),
        ({"max_params": 250_000}, 'rungs.0.max_params: found 250000, but "user/student" has its own size'),
        ({"model": "teacher:3", "max_params": 250_000}, 'rungs.0.max_params: found 250000, but "teacher:3"'),
        ({"model": "compct", "max_params": 9_000}, 'rungs.0.model: found "compct". Did you mean "compact"?'),
        ({"model": "Compact", "max_params": 9_000}, 'rungs.0.model: found "Compact". Did you mean'),
        ({"model": "teacher:0"}, 'rungs.0.model: found "teacher:0"; expected "teacher:N", N at least 1'),
        ({"model": "teacher:-1"}, 'expected "teacher:N"'),
        ({"model": "teacher:two"}, 'expected "teacher:N"'),
        ({"model": "teacher"}, 'expected "teacher:N"'),
        ({"model": "labels:a"}, 'rungs.0.model: found "labels:a": soft labels are a teacher, not a rung'),
        ({"model": "demo:minilm"}, 'Did you mean "demo:minilm-l6"?'),
    ],
)  # fmt: skip
def test_a_faulty_rung_is_named_by_its_number(rung: dict[str, Any], expected: str) -> None:
    kept = {key: value for key, value in ({"model": "user/student"} | rung).items() if value is not None}
    [fault] = faults_of(with_rung(**kept))
    assert expected in fault


def test_hub_ids_that_end_like_a_family_are_hub_ids() -> None:
    assert parse(with_rung(model="org/compact")).resolved_rung(0).kind == "huggingface"


# Faults: keys together


@pytest.mark.parametrize(
    ("tables", "expected"),
    [
        ({"data": {"source": None}}, "data.source: missing; expected where the rows are"),
        ({"data": {"train": "user/train"}}, "data.train: found beside data.source; expected data.source"),
        ({"data": {"test": "user/test"}}, "data.test: found beside data.source"),
        ({"data": {"label": "text"}}, 'data.label: found "text", the column of the text; expected another'),
        ({"data": {"selection_fraction": 0.5, "report_fraction": 0.5}}, "data.report_fraction: with"),
        ({"data": {"label_names": ["a", "b", "a"]}}, 'data.label_names: found "a" 2 times; expected it once'),
        ({"data": {"source": "demo:movie-snipets"}}, 'Did you mean "demo:movie-snippets"?'),
        ({"transfer": {"unlabeled": ["demo:reviews"]}}, "transfer.unlabeled: found"),
        ({"teacher": {"model": "demo:mini-l6"}}, 'Did you mean "demo:minilm-l6"?'),
        ({"teacher": {"model": ["user/a", "user/a"]}}, 'teacher.model: found "user/a" 2 times; expected it once'),
        ({"teacher": {"model": "compact"}}, 'teacher.model: found "compact", which is a rung'),
        ({"teacher": {"model": "teacher:3"}}, 'teacher.model: found "teacher:3", which is a rung'),
        ({"distill": {"soft_weight": 0}}, "distill.soft_weight: soft_weight and hard_weight are both 0"),
        ({"compare": {"arms": ["chain", "dense", "chain"]}}, 'compare.arms: found "chain" 2 times;'),
        ({"rungs": [{"model": "user/a", "soft_weight": 0}]}, "rungs.0.soft_weight: soft_weight and"),
        ({"distill": {"soft_weight": 0, "hard_weight": 1}, "rungs": [{"model": "user/a", "hard_weight": 0}]},
         "rungs.0.hard_weight: soft_weight and hard_weight are both 0"),
    ],
)  # fmt: skip
def test_keys_that_do_not_go_together(tables: dict[str, Any], expected: str) -> None:
    [fault] = faults_of(small(**tables))
    assert expected in fault


def test_one_budget_is_enough() -> None:
    faults = faults_of(with_rung(model="compact", max_params=9_000, max_bytes=90_000))
    assert "rungs.0.max_params: found beside max_bytes; expected one budget" in faults


def test_a_rung_that_overrides_weights_can_learn_from_the_labels_alone() -> None:
    recipe = parse(with_rung(model="user/a", soft_weight=0, hard_weight=1))
    assert recipe.resolved_rung(0).hard_weight == 1


PAIR = {"text": ["a", "b"]}
REGRESSION = {"task": "regression"}


@pytest.mark.parametrize(
    ("tables", "expected"),
    [
        ({"data": {"text": ["a", "b", "c"]}}, 'data.text: found ["a", "b", "c"]; expected one column, or two'),
        ({"data": {"text": ["a", "a"]}}, 'data.text: found "a" 2 times; expected it once'),
        ({"data": {"label": ["a", "b", "a"]}}, 'data.label: found "a" 2 times; expected it once'),
        (
            {"data": {"label": ["a", "b"], "label_separator": ";"}},
            'data.label_separator: found ";" beside several label columns',
        ),
        (
            {"data": {"label": ["a", "b"], "task": "single-label"}},
            'data.task: found "single-label", but several label columns make the task multi-label',
        ),
        (
            {"data": {"label_separator": ";", **REGRESSION}},
            'data.task: found "regression", but label_separator makes the task multi-label',
        ),
        ({"data": {"task": "regresion"}}, 'data.task: found "regresion"; expected "single-label", "multi-label"'),
        (
            {"data": {"label_names": ["a", "b"], **REGRESSION}},
            'data.label_names: found ["a", "b"], but numbers to be predicted have no names',
        ),
        (
            {"data": REGRESSION, "distill": {"class_weights": True}},
            "distill.class_weights: found true, but regression has no classes",
        ),
        ({"data": REGRESSION, "distill": {"loss": "kl"}}, 'distill.loss: found "kl", which compares probabilities'),
        (
            {"data": REGRESSION, "rungs": [{"model": "user/a", "loss": "kl"}]},
            'rungs.0.loss: found "kl", which compares probabilities',
        ),
        (
            {"data": PAIR, "transfer": {"split_sentences": True}},
            "transfer.split_sentences: found true, but sentences of one text of a pair",
        ),
        ({"data": PAIR, "transfer": {"text": "a"}}, 'transfer.text: found "a"; expected two columns, as data.text'),
        (
            {"data": {"text": "a"}, "transfer": {"text": ["a", "b"]}},
            'transfer.text: found ["a", "b"]; expected one column, as data.text has',
        ),
    ],
)  # fmt: skip
def test_keys_that_another_kind_of_task_has_are_refused(tables: dict[str, Any], expected: str) -> None:
    [fault] = faults_of(small(**tables))
    assert fault.startswith(expected)


def test_keys_of_every_kind_of_task_are_accepted() -> None:
    for tables in (
        {
            "data": {**PAIR, **REGRESSION},
            "transfer": {"text": ["c", "d"], "split_sentences": False, "views": 2},
        },
        {"data": {"label": ["a", "b"], "task": "multi-label", "label_names": ["x", "y"]}},
        {"data": {"label_separator": ";", "task": "multi-label"}, "distill": {"class_weights": True}},
        {"data": REGRESSION, "distill": {"loss": "mse"}},
    ):
        parse(small(**tables))


def test_a_resolved_regression_is_a_recipe_too() -> None:
    recipe = parse(small(data=REGRESSION, rungs=[{"model": "user/a"}]))
    assert recipe.resolved_rung(0).loss == "mse"
    assert parse(tomllib.loads(dump(recipe.resolved()))).rungs[0].loss == "mse"


def test_the_template_of_pairs_shows_pairs_of_unlabelled_texts_too() -> None:
    text = template("x", {"source": "a.csv", "text": ["one", "two"], "label": ["a", "b"]})
    assert re.search(r'^# text = \["one", "two"\]', text, flags=re.M)
    assert parse(tomllib.loads(text)).data.label == ("a", "b")


# Teachers that are no model


def test_ready_soft_labels_name_their_columns() -> None:
    assert score_columns("labels:no,yes") == ("no", "yes")
    assert score_columns('labels:"a, b", c') == ("a, b", "c")
    assert score_columns("labels:score_*") == ("score_*",)
    assert score_columns("user/labels") is None
    recipe = parse(small(teacher={"model": "labels:no,yes", "scores": "logits"}))
    assert recipe.teacher.scores == "logits"
    assert parse(tomllib.loads(dump(recipe))) == recipe


def test_data_may_have_no_labels() -> None:
    recipe = parse(small(data={"label": []}))
    assert recipe.data.label == ()
    assert parse(tomllib.loads(dump(recipe))).data.label == ()


LAYERS = [{"model": "teacher:2"}]
HINTS = [{"model": "compact", "max_params": 9_000, "hint_weight": 1.0}]
READY = {"model": "labels:no,yes"}


@pytest.mark.parametrize(
    ("tables", "expected"),
    [
        ({"teacher": {"model": "labels:"}}, 'teacher.model: found "labels:"; expected "labels:" and the columns'),
        ({"teacher": {"model": "labels:a,,b"}}, 'teacher.model: found "labels:a,,b"; expected "labels:" and'),
        ({"teacher": {"model": 'labels:"a'}}, 'teacher.model: found "labels:\\"a"; expected "labels:" and the'),
        ({"teacher": {"model": "labels:a*,b"}}, 'teacher.model: found "labels:a*,b"; a pattern has one * and stands'),
        ({"teacher": {"model": "labels:a,a"}}, 'teacher.model: found the column "a" 2 times; expected it once'),
        ({"teacher": {"model": "labels:text,a"}}, 'teacher.model: found "text", the column of the text; expected col'),
        ({"teacher": {"model": ["user/a", "labels:p"]}}, 'teacher.model: found "labels:p" among several teachers; it'),
        ({"teacher": {"model": "user/a", "scores": "probabilities"}}, 'teacher.scores: found "probabilities", but a'),
        ({"teacher": {**READY, "scores": "logit"}}, 'teacher.scores: found "logit"; expected "probabilities" or "log'),
        ({"teacher": {**READY, "epochs": 2}}, "teacher.epochs: found 2, but the teacher is \"labels:no,yes\", and"),
        ({"teacher": {**READY, "label_map": {"a": "b"}}}, "teacher.label_map: found { a = \"b\" }, but the teacher is"),
        ({"teacher": READY, "rungs": LAYERS}, 'rungs.0.model: found "teacher:2", but the teacher is "labels:no,yes",'),
        ({"teacher": READY, "rungs": HINTS}, 'rungs.0.hint_weight: found 1.0, but the teacher is "labels:no,yes", wh'),
        ({"teacher": READY, "transfer": {"views": 2}}, "transfer.views: found 2, but the teacher is \"labels:no,yes\""),
        ({"teacher": READY, "transfer": {"split_sentences": True}}, "transfer.split_sentences: found true, but the t"),
    ],
)  # fmt: skip
def test_what_needs_a_model_is_refused_where_the_teacher_is_none(
    tables: dict[str, Any], expected: str
) -> None:
    [fault] = faults_of(small(**tables))
    assert fault.startswith(expected)


# Faults: unknown keys, and all of them together


@pytest.mark.parametrize(
    ("tables", "expected"),
    [
        ({"sed": 1}, 'sed: unknown key. Did you mean "seed"?'),
        ({"rung": []}, 'rung: unknown key. Did you mean "rungs"?'),
        ({"data": {"Label": "x"}}, 'data.Label: unknown key. Did you mean "label"?'),
        ({"distill": {"temprature": 1}}, 'distill.temprature: unknown key. Did you mean "temperature"?'),
        ({"rungs": [{"model": "user/a", "epoch": 1}]}, 'rungs.0.epoch: unknown key. Did you mean "epochs"?'),
        ({"teacher": {"max_params": 1}}, "teacher.max_params: unknown key here; it is a key of [[rungs]]"),
        ({"epochs": 1}, "epochs: unknown key here; it is a key of [teacher] and [[rungs]]"),
        ({"compare": {"zzz": 1}}, "compare.zzz: unknown key; the keys here are arms, seeds"),
    ],
)
def test_an_unknown_key_is_told_the_nearest_name_or_its_table(tables: dict[str, Any], expected: str) -> None:
    assert faults_of(small(**tables)) == [expected]


def test_five_mistakes_are_five_faults_in_the_order_of_the_file() -> None:
    recipe = small(
        data={"lable": "x"},
        teacher={"epochs": 0},
        distill={"soft_weight": 0},
        rungs=[{"model": "compact", "epochs": "5"}],
    )
    faults = faults_of(recipe)
    assert [fault.split(":")[0] for fault in faults] == [
        "data.lable",
        "teacher.epochs",
        "distill.soft_weight",
        "rungs.0.max_params",
        "rungs.0.epochs",
    ]


def test_the_message_names_the_file_and_every_fault(tmp_path: Path) -> None:
    path = write(tmp_path, SMALL.replace('label = "label"', 'lable = "label"') + "epochs = 0\n")
    with pytest.raises(RecipeError) as caught:
        load(path)
    lines = str(caught.value).splitlines()
    assert lines[0] == f"{path}: 2 faults"
    assert lines[1] == '  - data.lable: unknown key. Did you mean "label"?'
    assert lines[2].startswith("  - rungs.1.epochs: found 0; expected")


def test_a_long_value_is_shortened() -> None:
    [fault] = faults_of(small(name="x " * 500))
    assert len(fault) < 200


junk = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.dates(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
every_key = [(name, key) for name, table in TABLES.items() for key in table.model_fields]


def assert_read_or_refused(recipe: Mapping[str, Any]) -> None:
    """Anything but a recipe or a RecipeError fails; what is read can be written and read again."""
    try:
        read = parse(recipe)
    except RecipeError:
        return
    assert parse(tomllib.loads(dump(read))) == read


@given(at=st.sampled_from(every_key), value=junk, other=st.sampled_from(every_key), also=junk)
def test_whatever_a_recipe_holds_it_is_read_or_refused(
    at: tuple[str, str], value: object, other: tuple[str, str], also: object
) -> None:
    recipe = small()
    for (table, key), found in ((at, value), (other, also)):
        place = recipe.setdefault(table, {})
        (place[0] if table == "rungs" else place)[key] = found
    assert_read_or_refused(recipe)


@given(at=st.sampled_from([*TABLES, "name", "seed"]), value=junk)
def test_whatever_a_table_is_it_is_read_or_refused(at: str, value: object) -> None:
    assert_read_or_refused(small() | {at: value})


# --set


@pytest.mark.parametrize(
    ("setting", "expected"),
    [
        ("rungs.1.epochs=3", {"rungs": [{}, {"epochs": 3}]}),
        ("rungs.0.learning_rate = 3e-4", {"rungs": [{"learning_rate": 3e-4}, {}]}),
        ("name=my-run", {"name": "my-run"}),
        ('name="my run"', {"name": "my run"}),
        ("data.label=a=b", {"data": {"label": "a=b"}}),
        ("data.source=nyu-mll/glue:sst2", {"data": {"source": "nyu-mll/glue:sst2"}}),
        ("data.text=[\"a\"]", {"data": {"text": ["a"]}}),
        ("transfer.split_sentences=true", {"transfer": {"split_sentences": True}}),
        ("transfer={max_texts=5}", {"transfer": {"max_texts": 5}}),
        ('teacher.label_map."LABEL 0"=bad', {"teacher": {"label_map": {"LABEL 0": "bad"}}}),
        ("compare.arms.0=dense", {"compare": {"arms": ["dense"]}}),
        ("rungs.1={model='compact', ema=0}", {"rungs": [{}, {"model": "compact", "ema": 0}]}),
        ("name=3\nseed=4", {"name": "3\nseed=4"}),
        ("name=2.5.1", {"name": "2.5.1"}),
    ],
)  # fmt: skip
def test_a_setting_is_toml_or_else_text(setting: str, expected: dict[str, Any]) -> None:
    before: dict[str, Any] = {"rungs": [{}, {}], "compare": {"arms": ["chain"]}}
    changed, faults = apply(before, [setting])
    assert faults == []
    assert changed == before | expected
    assert before == {"rungs": [{}, {}], "compare": {"arms": ["chain"]}}


def test_settings_are_made_in_their_order() -> None:
    changed, faults = apply({}, ["seed=1", "seed=2"])
    assert (changed, faults) == ({"seed": 2}, [])


def test_nothing_after_the_sign_takes_the_key_out(tmp_path: Path) -> None:
    path = write(tmp_path, SMALL)
    recipe = load(path, ["data.source=", "data.train=user/train", "rungs.0="])
    assert (recipe.data.source, recipe.data.train) == (None, "user/train")
    assert [rung.model for rung in recipe.rungs] == ["compact"]


@pytest.mark.parametrize(
    ("setting", "expected"),
    [
        ("rungs.1.epochs", "expected key=value, such as rungs.1.epochs=3"),
        ("", "expected key=value"),
        ("=3", "expected names joined by dots before the sign"),
        ("a b=3", "expected names joined by dots before the sign"),
        ("data.=3", "expected names joined by dots before the sign"),
        ("rungs.2.epochs=3", 'found "2" as an entry of rungs; expected a number from 0 to 1'),
        ("rungs.2=3", 'found "2" as an entry of rungs; expected a number from 0 to 1'),
        ("rungs.-1.epochs=3", 'found "-1" as an entry of rungs; expected a number from 0 to 1'),
        ("rungs.last.epochs=3", 'found "last" as an entry of rungs; expected a number from 0 to 1'),
        ("name.first=3", 'name is "small", which has no keys'),
        ("transfer.unlabeled.0=x", "transfer.unlabeled is not in the recipe"),
        ("data.sorce=", "data.sorce is not in the recipe, so there is nothing to take out"),
        ("transfer.text=", "transfer is not in the recipe"),
    ],
)
def test_a_setting_that_cannot_be_made_says_why(setting: str, expected: str) -> None:
    _, [fault] = apply(small(), [setting])
    assert fault.startswith(f"--set {setting}: {expected}")


def test_a_list_without_entries_has_none_to_set() -> None:
    _, [fault] = apply({"rungs": []}, ["rungs.0.epochs=3"])
    assert fault.endswith('found "0" as an entry of rungs; it has none')


def test_faults_of_settings_and_of_the_recipe_come_together(tmp_path: Path) -> None:
    path = write(tmp_path, SMALL + "epochs = 0\n")
    with pytest.raises(RecipeError) as caught:
        load(path, ["rungs.7.epochs=3", "data.sorce=x", "seed=-1"])
    assert [fault.split(":")[0] for fault in caught.value.faults] == [
        "--set rungs.7.epochs=3",
        "seed",
        "data.sorce",
        "rungs.1.epochs",
    ]


# Paths


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder that is not the recipe's."""
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("reviews.csv", "home/reviews.csv"),
        ("reviews.PARQUET", "home/reviews.PARQUET"),
        ("sub/reviews.jsonl", "home/sub/reviews.jsonl"),
        ("reviews.txt", "home/reviews.txt"),
        ("./reviews", "home/reviews"),
        ("../reviews.tsv", "reviews.tsv"),
        ("there", "home/there"),
    ],
)
def test_a_path_in_a_recipe_starts_from_its_file(
    tmp_path: Path, elsewhere: Path, written: str, expected: str
) -> None:
    home = tmp_path / "home"
    (home / "there").mkdir(parents=True)
    recipe = load(write(home, SMALL.replace("user/reviews:plain", written)))
    assert recipe.data.source == str(tmp_path / expected)


@pytest.mark.parametrize(
    "name", ["user/reviews", "user/reviews:plain#train", "imdb", "demo:movie-snippets", "x" * 300]
)
def test_what_is_not_a_path_stays_a_name(tmp_path: Path, name: str) -> None:
    assert load(write(tmp_path, SMALL.replace("user/reviews:plain", name))).data.source == name


def test_an_absolute_path_and_one_from_home_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    recipe = parse(small(data={"source": None, "train": "/a/train.csv", "test": "~/test.csv"}), base=tmp_path)
    assert (recipe.data.train, recipe.data.test) == ("/a/train.csv", str(tmp_path / "home" / "test.csv"))


def test_every_key_that_may_be_a_path_is_resolved(tmp_path: Path) -> None:
    data = {"source": None, "train": "a.csv", "validation": "b.csv", "test": "c.csv"}
    recipe = parse(
        small(
            data=data,
            transfer={"unlabeled": ["d.csv", "user/more"]},
            teacher={"model": "./teacher"},
            rungs=[{"model": "./student"}],
        ),
        base=tmp_path,
    )
    assert recipe.transfer is not None
    assert recipe.data.validation == str(tmp_path / "b.csv")
    assert recipe.transfer.unlabeled == (str(tmp_path / "d.csv"), "user/more")
    assert recipe.teacher.model == (str(tmp_path / "teacher"),)
    assert recipe.rungs[0].model == str(tmp_path / "student")


def test_names_with_a_meaning_win_over_folders(tmp_path: Path) -> None:
    for name in ("compact", "teacher:3"):
        (tmp_path / name).mkdir()
    rungs = [{"model": "teacher:3"}, {"model": "compact", "max_params": 9_000}]
    recipe = parse(small(rungs=rungs), base=tmp_path)
    assert [rung.model for rung in recipe.rungs] == ["teacher:3", "compact"]


def test_a_path_object_is_a_path(tmp_path: Path) -> None:
    assert parse(small(data={"source": Path("reviews")}), base=tmp_path).data.source == str(
        tmp_path / "reviews"
    )


def test_columns_are_never_paths(tmp_path: Path) -> None:
    (tmp_path / "text").mkdir()
    assert parse(small(data={"text": "text", "label": "./label"}), base=tmp_path).data.label == ("./label",)


@pytest.mark.parametrize(
    ("setting", "read"),
    [
        ("data.source=mine.csv", lambda recipe: recipe.data.source),
        ('data={source="mine.csv", text="text", label="label"}', lambda recipe: recipe.data.source),
        ('transfer.unlabeled=["mine.csv"]', lambda recipe: recipe.transfer.unlabeled[0]),
        ("rungs.0.model=./mine.csv", lambda recipe: recipe.rungs[0].model),
        ('rungs=[{model="./mine.csv"}]', lambda recipe: recipe.rungs[0].model),
    ],
)
def test_a_path_of_a_setting_starts_from_the_working_folder(
    tmp_path: Path, elsewhere: Path, setting: str, read: Any
) -> None:
    assert read(load(write(tmp_path, SMALL), [setting])) == str(elsewhere / "mine.csv")


def test_a_name_of_a_setting_is_not_looked_up_beside_the_recipe(tmp_path: Path, elsewhere: Path) -> None:
    (tmp_path / "imdb").mkdir()
    path = write(tmp_path, SMALL.replace("user/reviews:plain", "imdb"))
    assert load(path).data.source == str(tmp_path / "imdb")
    assert load(path, ["data.source=imdb"]).data.source == "imdb"


def test_a_link_stays_the_link_that_was_named(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    assert absolute("link", tmp_path, ("data", "source")) == str(tmp_path / "link")


# Files


def refusal(name: str | Path) -> str:
    with pytest.raises(RecipeError) as caught:
        load(name)
    assert caught.value.source == str(name)
    [fault] = caught.value.faults
    return fault


def test_an_unknown_name_is_told_the_nearest_and_the_list() -> None:
    fault = refusal("sst2-artcle")
    assert fault.startswith("no such recipe. Did you mean sst2-article?")
    assert all(name in fault for name in shipped())


def test_an_unknown_name_that_is_near_none_is_told_the_list() -> None:
    assert (
        refusal("qqqq")
        == "no such recipe. Shipped are demo, sentiment, sst2-250k, sst2-article, sst2-small; or name a .toml file"
    )


def test_a_missing_file_is_told_its_neighbour(tmp_path: Path) -> None:
    write(tmp_path, SMALL)
    assert f"Did you mean {tmp_path / 'recipe.toml'}?" in refusal(tmp_path / "recpie.toml")


def test_a_missing_file_without_neighbours_is_told_of_init(tmp_path: Path) -> None:
    assert refusal(tmp_path / "no" / "recipe.toml") == "no such file. `stepdown init DATA` writes a recipe"


def test_a_folder_is_refused_and_its_recipe_named(tmp_path: Path) -> None:
    assert refusal(tmp_path) == "is a folder; expected a recipe file"
    path = write(tmp_path, SMALL)
    assert refusal(tmp_path) == f"is a folder; expected a recipe file; it holds one: {path}"


@pytest.mark.parametrize("content", ["", " \n\t\n", "\ufeff"])
def test_an_empty_file_is_told_of_init(tmp_path: Path, content: str) -> None:
    assert "is empty; `stepdown init DATA`" in refusal(write(tmp_path, content))


def test_a_file_that_is_not_utf8_is_told_the_line(tmp_path: Path) -> None:
    path = tmp_path / "recipe.toml"
    path.write_bytes(
        'name = "x"\nseed = 1 # cafÃ©\n'.encode("latin-1").replace("Ã©".encode("latin-1"), b"\xe9")
    )
    assert refusal(path) == "line 2: byte 0xe9 is not UTF-8; save the file as UTF-8"


def test_a_byte_order_mark_does_no_harm(tmp_path: Path) -> None:
    assert load(write(tmp_path, "\ufeff" + SMALL)) == load(write(tmp_path, SMALL))


def test_a_large_file_is_not_taken_for_a_recipe(tmp_path: Path) -> None:
    path = write(tmp_path, "# a row of data\n" * 100_000)
    assert refusal(path).startswith("is larger than 1 MB; expected a recipe")


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_a_file_without_permission_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path, SMALL)
    path.chmod(0)
    assert refusal(path) == "cannot be read: Permission denied"


def test_a_name_that_no_file_can_have_is_refused() -> None:
    assert refusal("x" * 300) == "cannot be read: File name too long"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('name = "x"\nseed = \n', "line 2, column 8: Invalid value"),
        ('name = "x"\nseed = 1\nseed = 2\n', "line 3, column 9: Cannot overwrite a value"),
        ("text,label\ngood,1\n", "line 1, column 5: "),
        ('name = "x', "line 1, column 10: "),
        ("name = [\n", "line 2, column 1: "),
    ],
)
def test_a_syntax_error_is_told_its_line_and_column(tmp_path: Path, text: str, expected: str) -> None:
    assert refusal(write(tmp_path, text)).startswith(expected)


def test_a_syntax_error_quotes_its_line(tmp_path: Path) -> None:
    assert refusal(write(tmp_path, "name = x y\n")).endswith('in "name = x y"')


def test_brackets_without_end_are_refused(tmp_path: Path) -> None:
    assert refusal(write(tmp_path, "name = " + "[" * 50_000)).startswith("nested too deeply")


# The way back


def test_a_dump_states_every_default(tmp_path: Path) -> None:
    recipe = load(write(tmp_path, SMALL), ["transfer.unlabeled=user/more"])
    stated = tomllib.loads(dump(recipe))
    # What has no default in any kind stays out: TOML has no null.
    optional = {"train", "validation", "test", "task", "label_names", "label_separator", "label_map"}
    optional |= {"max_texts", "max_rows", "max_bytes", "loss", "text", "gold_learning_rate"}
    by_the_data = {("teacher", "epochs"), ("teacher", "learning_rate")}
    by_the_data |= {("teacher", "scores"), ("rungs", "batch_size"), ("rungs", "epochs")}
    by_the_data |= {("rungs", "embedding_rate"), ("rungs", "hidden")}
    for name, table in TABLES.items():
        for key in table.model_fields:
            if name == "sources":  # none, unless there are any
                continue
            entries = stated[name] if name == "rungs" else [stated[name]]
            override = name == "rungs" and key in TABLES["distill"].model_fields
            for entry in entries:
                own_size = key in ("max_params", "core") and entry["model"] != "compact"
                left_open = key in optional or (name, key) in by_the_data
                assert key in entry or left_open or override or own_size, (name, key)
    assert [rung.get("epochs") for rung in stated["rungs"]] == [DEFAULTS["huggingface"].epochs, None]
    assert [rung.get("loss") for rung in stated["rungs"]] == ["kl", None]


SOURCES = """
[[sources]]
name = "user/reviews"
role = "data"
licence = "CC-BY-4.0"
[[sources]]
name = "letters to the editor"
role = "transfer text"
"""


def test_sources_are_kept_and_read_alone(tmp_path: Path) -> None:
    path = write(tmp_path, SMALL + SOURCES)
    recipe = load(path)
    assert [(one.name, one.licence) for one in recipe.sources] == [
        ("user/reviews", "CC-BY-4.0"),
        ("letters to the editor", "not stated"),
    ]
    assert load(write(tmp_path, dump(recipe), "dumped.toml")) == recipe
    assert load_sources(path) == load_sources(write(tmp_path, SOURCES, "only.toml")) == recipe.sources
    assert [one.role for one in load_sources("sst2-250k")] == ["teacher", "data", "transfer text"]


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (SMALL, "has no [[sources]]"),
        ('sources = "x"', "sources: found "),
        ("[[sources]]\nname = 1\n", "sources.0.name: found 1; expected what others know it by"),
        ("[[sources]]\nname = 1\n", "sources.0.role: missing; expected what it served as"),
        ('[[sources]]\nname = "a"\nrole = "b"\nlicense = "MIT"', 'unknown key. Did you mean "licence"?'),
        ("sources = [1]", "sources.0: found 1; expected a table, [[sources]]"),
    ],
)
def test_faulty_sources_are_told(tmp_path: Path, content: str, says: str) -> None:
    path = write(tmp_path, content)
    with pytest.raises(RecipeError, match=re.escape(says)):
        load_sources(path)


def test_a_dump_is_read_the_same_from_any_folder(tmp_path: Path, elsewhere: Path) -> None:
    write(tmp_path, "text,label\n", "reviews.csv")
    recipe = load(write(tmp_path, SMALL.replace("user/reviews:plain", "reviews.csv")))
    assert load(write(elsewhere, dump(recipe))) == recipe


words = st.text(st.characters(codec="utf-8"), min_size=1, max_size=12)
numbers = st.floats(min_value=1e-6, max_value=1.0, allow_nan=False)
counts = st.integers(min_value=1, max_value=10**6)


def optional(**keys: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({}, optional=keys)


overrides = optional(
    temperature=numbers,
    soft_weight=numbers,
    hard_weight=numbers,
    loss=st.sampled_from(["kl", "mse"]),
    clip=numbers,
    class_weights=st.booleans(),
    gold_epochs=st.integers(0, 9),
    gold_learning_rate=numbers,
)
training = optional(
    epochs=counts,
    learning_rate=numbers,
    batch_size=counts,
    accumulate=counts,
    weight_decay=numbers,
    warmup=st.floats(0, 0.9),
    ema=st.floats(0, 0.9999),
)
models = st.one_of(
    st.fixed_dictionaries(
        {"model": st.just("compact"), "max_params": st.integers(5_000, 10**9)},
        optional={
            "core": st.sampled_from(["gru", "forward-gru", "conv"]),
            "word_dropout": st.floats(0, 0.9),
            "hint_weight": numbers,
        },
    ),
    st.fixed_dictionaries(
        {"model": st.sampled_from(["compact", "bag"]), "max_bytes": st.integers(50_000, 10**9)}
    ),
    counts.map(lambda layers: {"model": f"teacher:{layers}"}),
    st.sampled_from([{"model": "user/a"}, {"model": "./a b\\c"}, {"model": "demo:minilm-l6"}]),
)
rung_tables = st.tuples(models, training, overrides).map(lambda parts: parts[0] | parts[1] | parts[2])
recipes = st.fixed_dictionaries(
    {
        "name": st.from_regex(r"\w[\w.-]{0,20}", fullmatch=True),
        "data": st.tuples(
            st.sampled_from([{"source": "user/a:b"}, {"train": "ü \"'\\.csv", "test": "b.tsv"}]),
            st.fixed_dictionaries(
                {"text": words.map(lambda word: f"t{word}"), "label": words.map(lambda word: f"l{word}")},
                optional={
                    "label_names": st.lists(words, min_size=2, max_size=5, unique=True),
                    "max_length": st.integers(4, 4096),
                    "selection_fraction": st.floats(0.01, 0.49),
                    "task": st.just("single-label"),
                },
            ),
        ).map(lambda parts: parts[0] | parts[1]),
        "teacher": st.fixed_dictionaries(
            {"model": st.sampled_from(["demo:minilm-l6", "./teacher", "user/b", ["user/b", "./teacher"]])},
            optional={"epochs": counts, "label_map": st.dictionaries(words, words, min_size=1, max_size=3)},
        ),
        "rungs": st.lists(rung_tables, min_size=1, max_size=4),
    },
    optional={
        "seed": st.integers(0, 2**32 - 1),
        "transfer": optional(
            unlabeled=st.lists(st.sampled_from(["a.csv", "user/c#d"]), max_size=3),
            text=words,
            split_sentences=st.booleans(),
            max_texts=counts,
        ),
        "distill": overrides,
        "compare": optional(
            arms=st.lists(st.sampled_from(["direct", "one-hop", "chain", "dense"]), min_size=1, unique=True),
            seeds=counts,
        ),
    },
)


@given(recipes)
def test_what_is_dumped_is_read_as_an_equal_recipe(mapping: dict[str, Any]) -> None:
    recipe = parse(mapping)
    again = parse(tomllib.loads(dump(recipe)), base=Path("/somewhere/else"))
    assert again == recipe
    assert [again.resolved_rung(i) for i in range(len(recipe.rungs))] == [
        recipe.resolved_rung(i) for i in range(len(recipe.rungs))
    ]


@given(recipes)
def test_what_is_dumped_does_not_hang_on_the_defaults_of_a_kind(mapping: dict[str, Any]) -> None:
    stated = tomllib.loads(dump(parse(mapping)))
    for rung in stated["rungs"]:
        # What is built to a budget has passes and batches by the number of its texts, its loss by that of its classes.
        by_the_data = {"batch_size", "loss", "epochs", "embedding_rate"}
        assert set(DEFAULTS["compact"].__dataclass_fields__) - by_the_data <= set(rung)


@given(
    st.recursive(st.booleans() | st.integers() | st.floats(allow_nan=False) | words, lambda x: st.lists(x))
)
def test_a_literal_is_toml(value: object) -> None:
    assert tomllib.loads(f"value = {literal(value)}")["value"] == value


# What ships


def test_the_builtin_names_are_those_of_the_registry() -> None:
    for kind, names in (("data", BUILTIN_DATA), ("model", BUILTIN_MODELS)):
        assert set(names) == {name for name, builtin in BUILTINS.items() if builtin.kind == kind}


def test_a_data_file_is_a_path_whatever_data_reads() -> None:
    assert set(SUFFIXES) <= set(DATA_SUFFIXES)


@pytest.mark.parametrize("name", ["demo", "sentiment", "sst2-250k", "sst2-article", "sst2-small"])
def test_shipped_recipes_have_no_faults_and_their_own_name(name: str) -> None:
    assert load(name).name == name
    assert load(shipped()[name]) == load(name)
    assert f"stepdown run {name}" in shipped()[name].read_text(encoding="utf-8")


def test_the_demo_is_the_ladder_of_the_readme() -> None:
    recipe = load("demo")
    assert (recipe.data.source, recipe.teacher.model) == ("demo:movie-snippets", ("demo:minilm-l6",))
    assert (recipe.data.text, recipe.data.label) == (("text",), ("label",))
    assert [(rung.model, rung.max_params) for rung in recipe.rungs] == [
        ("teacher:3", None),
        ("compact", 1_000_000),
        ("compact", 250_000),
    ]


def test_the_article_is_the_reference_recipe() -> None:
    recipe = load("sst2-article")
    assert recipe.teacher.model == ("assemblyai/bert-large-uncased-sst2",)
    rungs = [recipe.resolved_rung(index) for index in range(3)]
    assert [(rung.model, rung.learning_rate) for rung in rungs] == [
        ("google/bert_uncased_L-4_H-256_A-4", 1e-4),
        ("google/bert_uncased_L-2_H-128_A-2", 1e-4),
        ("neuml/bert-hash-femto", 3e-4),
    ]
    assert {(rung.loss, rung.temperature, rung.epochs, rung.batch_size) for rung in rungs} == {
        ("kl", 1.0, 5, 32)
    }


def test_the_small_one_is_pointed_at_local_files(tmp_path: Path, elsewhere: Path) -> None:
    recipe = load("sst2-small", [f"data.source={os.path.relpath(tmp_path)}", "compare.seeds=1"])
    assert (recipe.data.source, recipe.compare.seeds) == (str(tmp_path), 1)
    assert (recipe.compare.arms, len(recipe.rungs)) == (("direct", "one-hop"), 1)


# What init writes


def test_the_template_is_the_recipe_that_the_design_promises(tmp_path: Path) -> None:
    text = template("reviews", {"source": "reviews.csv", "text": "body", "label": "stars"}, rows=12_345)
    recipe = load(write(tmp_path, text))
    assert (recipe.name, recipe.data.source) == ("reviews", str(tmp_path / "reviews.csv"))
    assert (recipe.data.text, recipe.data.label) == (("body",), ("stars",))
    assert recipe.teacher.model == ("demo:minilm-l6",)
    assert [(rung.model, rung.max_params) for rung in recipe.rungs] == [
        ("compact", 1_000_000),
        ("compact", 250_000),
    ]
    assert (recipe.compare.arms, recipe.compare.seeds) == (("direct", "one-hop", "chain", "dense"), 3)
    assert text.startswith("# reviews.csv: single-label, 12,345 rows.")


def test_the_template_explains_every_key_that_works() -> None:
    sections = re.split(r"^(?:# )?\[+(\w+)\]+", template("x", {"source": "a.csv", "text": "t"}), flags=re.M)
    explained = {
        (name, key)
        for name, body in zip(sections[1::2], sections[2::2], strict=True)
        for key, says in re.findall(r"^(?:# )?(\w+) = .*?(?: # (.+))?$", body, flags=re.M)
        if says or key == "arms"  # the arms are explained in the lines above them
    }
    inherited = {("rungs", key) for key in TABLES["distill"].model_fields}
    assert explained == set(every_key) - inherited


def test_what_the_template_shows_behind_a_sign_is_the_default() -> None:
    text = template("x", {"source": "a.csv", "text": "t", "label": "l"})
    examples = "train|validation|test|task|label_names|label_separator|label_map|scores|loss|unlabeled|text|max_texts"
    examples += "|max_rows"
    # These go by the data or the model.
    examples += (
        "|max_bytes|hidden|epochs = 4|learning_rate = 1e-4|gold_learning_rate|batch_size = 128|embedding_rate"
    )
    shown = re.sub(rf"^# (?!(?:{examples})\b)(\w+ = |\[)", r"\1", text, flags=re.M)
    changed = tomllib.loads(shown)
    assert changed.pop("transfer") == {"split_sentences": False, "views": 0}
    assert changed.pop("sources") == [{"name": "Reviews of 2024", "role": "data", "licence": "not stated"}], (
        "an example"
    )
    assert changed != tomllib.loads(text)
    assert parse(changed) == parse(tomllib.loads(text))


def test_the_examples_of_the_template_are_valid_too() -> None:
    text = template("x", {"train": "a.csv", "text": "t", "label": "l"})
    shown = re.sub(r"^# (?!source = |max_bytes = )(\w+ = |\[)", r"\1", text, flags=re.M)
    recipe = parse(tomllib.loads(shown))
    assert recipe.transfer is not None
    assert recipe.transfer.max_texts == 100_000


def test_fewer_seeds_and_notes_are_said_in_comments() -> None:
    text = template("x", {"source": "a.csv", "text": "t"}, seeds=1, notes=["80,000 rows:\nlong"])
    assert "# 80,000 rows: long\n" in text
    assert re.search(r"^seeds = 1 .*fewer than 3", text, flags=re.M)
    assert parse(tomllib.loads(text)).compare.seeds == 1


@given(
    name=st.text(max_size=80),
    column=words.map(lambda word: f"t{word}"),
    label=words.map(lambda word: f"l{word}"),
    names=st.lists(words, min_size=2, max_size=4, unique=True),
    note=st.text(),
)
def test_the_template_has_no_faults_whatever_the_data_is_called(
    name: str, column: str, label: str, names: list[str], note: str
) -> None:
    data = {"source": f"./{column}", "text": column, "label": label, "label_names": names}
    recipe = parse(tomllib.loads(template(name, data, notes=[note])))
    assert (recipe.data.text, recipe.data.label) == ((column,), (label,))
    assert recipe.data.label_names == tuple(names)


@pytest.mark.parametrize(
    ("text", "expected"),
    [("reviews", "reviews"), ("my reviews (2)", "my-reviews-2"), ("../x", "x"), ("", "run"), ("—", "run")],
)
def test_a_run_name_is_made_of_any_text(text: str, expected: str) -> None:
    assert run_name(text) == expected


def test_settings_that_go_by_the_data_stay_within_bounds() -> None:
    assert [loss_for("single-label", classes) for classes in (2, 3, 77)] == ["mse", "kl", "kl"]
    assert (loss_for("multi-label", 2), loss_for("regression", 1)) == ("kl", "mse")
    assert [batch_size_for(n) for n in (1, 1_000, 8_000, 100_000, 10_000_000)] == [16, 16, 125, 384, 384]
    counts = (20, 2_000, 8_000, 15_000, 40_000, 500_000)
    assert [fine_tuning_epochs(n, 32, "single-label") for n in counts] == [12, 12, 5, 3, 3, 3]
    assert [fine_tuning_epochs(n, 32, "multi-label") for n in counts] == [12, 12, 10, 5, 3, 3]
    assert [fine_tuning_rate(n) for n in (22_000_000, 110_000_000, 335_000_000)] == [1e-4, 5e-5, 2e-5]


def test_embeddings_learn_slowly_where_texts_are_few() -> None:
    asked: list[tuple[Kind, int, bool]] = [
        ("compact", 10_000, False),
        ("compact", 200_000, False),
        ("compact", 200_000, True),
        ("bag", 10, False),
    ]
    assert [embedding_rate_for(kind, texts, is_pair=pair) for kind, texts, pair in asked] == [
        0.3,
        1.0,
        0.1,
        1.0,
    ]
