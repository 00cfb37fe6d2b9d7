"""A model's card as the Hugging Face hub reads it: metadata for programs, and Markdown for people."""

from __future__ import annotations

import copy
import re
from typing import Any

import pytest
import yaml
from huggingface_hub import ModelCard
from hypothesis import given, settings
from hypothesis import strategies as st
from test_report import ARMS, HOSTILE, a_run, with_members

from stepdown import lineage, recipe, report
from stepdown.report.figures import clean
from stepdown.report.front_matter import front_matter
from stepdown.report.metadata import licence
from stepdown.runtime import Bundle, Source
from tests.tiny_bundle import about

APACHE, MIT, UNKNOWN = (Source(name, "data", name) for name in ("Apache-2.0", "MIT", "not stated"))


@pytest.fixture(scope="module")
def run() -> dict[str, Any]:
    return a_run()


def metadata(text: str) -> dict[str, Any]:
    """What a reader of YAML finds between the fences."""
    block = re.match(r"---\n(.*?)\n---\n\n# ", text, re.DOTALL)
    assert block, text[:200]
    found: dict[str, Any] = yaml.safe_load(block[1])
    return found


# --- the block of YAML

keys = st.sampled_from(["a", "no", "n", "model-index", "license_name"])
scalars = st.none() | st.booleans() | st.integers(-(10**9), 10**9) | st.text(max_size=12)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=100)
@given(st.dictionaries(keys, values, min_size=1))
def test_whatever_is_in_it_is_read_as_what_it_is(data: dict[str, Any]) -> None:
    def printable(value: Any) -> Any:
        if isinstance(value, str):
            return clean(value)
        if isinstance(value, dict):
            return {key: printable(inner) for key, inner in value.items()}
        return [printable(one) for one in value] if isinstance(value, list) else value

    text = front_matter(data)
    assert text.startswith("---\n")
    assert text.endswith("\n---\n")
    assert yaml.safe_load(text.removeprefix("---\n").removesuffix("---\n")) == printable(data)
    assert not set(text) & set("<>&\x00\x1b")


def test_words_that_yaml_takes_for_something_else_stay_words() -> None:
    words = [
        "no",
        "Off",
        "null",
        "~",
        "1e3",
        "0x1f",
        "2024-01-01",
        "a: b",
        "# c",
        "- d",
        "---",
        "'",
        '"',
        "\\",
        "é",
        "🙂",
    ]
    (found,) = yaml.safe_load_all(front_matter({"words": words}).removesuffix("---\n"))
    assert found == {"words": words}


def test_numbers_are_numbers_in_every_version_of_yaml() -> None:
    given_numbers = {"a": 0.912345678, "b": 1e-7, "c": 12345678.5, "d": 3.0, "e": -0.25, "f": 7}
    found = yaml.safe_load(front_matter(given_numbers).strip("-\n"))
    assert found == {"a": 0.912346, "b": 1e-7, "c": 12345678.5, "d": 3.0, "e": -0.25, "f": 7}
    assert [type(value) for value in found.values()] == [float] * 5 + [int]
    for bad in ({"a": float("nan")}, {"a": float("inf")}, {"no: key": 1}):
        with pytest.raises(ValueError, match=r"no number|no key"):
            front_matter(bad)


# --- what it says


def test_the_clients_own_reader_understands_all_of_it(run: dict[str, Any]) -> None:
    text = report.card(run, report.Packed(1000, (APACHE,), languages=("en",)))
    card, found = ModelCard(text), metadata(text)
    assert card.data.to_dict() == found, "nothing is lost or renamed on the way through the client's types"
    assert (card.data.license, card.data.language) == ("apache-2.0", ["en"])
    assert (card.data.library_name, card.data.pipeline_tag) == ("stepdown", "text-classification")
    assert {"stepdown", "knowledge-distillation", "onnx", "single-label"} <= set(card.data.tags)
    assert card.data.metrics == ["accuracy", "f1", "matthews_correlation"]
    assert card.text.startswith("\n# movies\n")


def test_the_model_index_has_intervals_counts_seeds_and_what_it_was_compared_with(
    run: dict[str, Any],
) -> None:
    student = next(cell for cell in run["cells"] if cell["id"] == run["summary"]["bundle_cell"])
    results = ModelCard(report.card(run)).data.eval_results
    assert {(one.task_type, one.dataset_type) for one in results} == {("text-classification", "unknown")}
    own = student["metrics"]["accuracy"]
    first, mean = (one for one in results if one.metric_type == "accuracy")
    assert first.metric_value == pytest.approx(own["value"], abs=1e-6)
    assert first.metric_name == f"Accuracy (95% interval {own['low']:.3f} to {own['high']:.3f}, 400 texts)"
    told = {key: first.metric_args[key] for key in ("low", "high", "n", "seed", "confidence")}
    expected = {"low": own["low"], "high": own["high"], "n": 400, "seed": student["seed"], "confidence": 0.95}
    assert told == pytest.approx(expected, abs=1e-6)
    row = next(one for one in run["rungs"] if (one["position"], one["arm"]) == (3, "dense"))
    assert mean.metric_value == pytest.approx(row["metrics"]["accuracy"]["value"], abs=1e-6)
    assert "in the mean of 3 seeds" in mean.metric_name
    assert mean.metric_args["seeds"] == 3
    compared = {one["name"]: one for one in mean.metric_args["compared_with"]}
    assert set(compared) == {"direct", "one-hop", "chain", "teacher"}
    assert compared["teacher"]["verdict"] == "worse"
    assert compared["teacher"]["high"] < 0
    assert [one.metric_type for one in results if "f1" in one.metric_type] == ["f1"]
    assert not any("ms" in one.metric_type for one in results), "times are of one machine"


def test_a_comparison_is_told_from_the_models_own_side(run: dict[str, Any]) -> None:
    """Of `dense against direct` the card of direct tells the opposite."""
    direct = next(cell["id"] for cell in run["cells"] if cell["arm"] == "direct")
    text = report.card({**run, "summary": {**run["summary"], "bundle_cell": direct}})
    metrics = metadata(text)["model-index"][0]["results"][0]["metrics"]
    told = {one["name"]: one for one in metrics[-1]["args"]["compared_with"]}
    assert set(told) == set(ARMS) - {"direct"}
    found = next(one for one in run["comparisons"] if (one["a"], one["b"]) == ("direct", "dense"))
    assert told["dense"]["difference"] == pytest.approx(-found["difference"], abs=1e-6)
    assert told["dense"]["low"] == pytest.approx(-found["high"], abs=1e-6)
    assert "- Compared: dense against direct: " in text
    assert "against teacher" not in text, "that was said of another rung"
    assert "knowledge-distillation" not in metadata(text)["tags"], "it learnt from the labels alone"


def test_one_seed_is_told_once() -> None:
    accuracies = [
        one
        for one in metadata(report.card(a_run(seeds=1)))["model-index"][0]["results"][0]["metrics"]
        if one["type"] == "accuracy"
    ]
    assert len(accuracies) == 1
    assert {one["name"] for one in accuracies[0]["args"]["compared_with"]} == {*ARMS, "teacher"} - {"dense"}


def test_figures_of_another_form_of_the_weights_say_so(run: dict[str, Any]) -> None:
    text = report.card(run, report.Packed(1000, weights="int8"))
    for one in metadata(text)["model-index"][0]["results"][0]["metrics"]:
        assert one["args"]["measured_with"] == "float32 weights"
    assert "measured_with" not in report.card(run)


def test_the_data_it_was_measured_on_are_named(run: dict[str, Any]) -> None:
    origin = report.Origin(
        "owner/data:two", "owner/data", "two", "c0ffee", ("owner/data", "owner/more"), ("a/b",)
    )
    packed = report.Packed(1000, origin=origin)
    cut = metadata(report.card(run, packed))
    told = cut["model-index"][0]["results"][0]["dataset"]
    assert told == {
        "name": "owner/data:two: cut from train, 10%",
        "type": "owner/data",
        "config": "two",
        "revision": "c0ffee",
    }
    assert (cut["datasets"], cut["base_model"]) == (["owner/data", "owner/more"], "a/b")
    whole = copy.deepcopy(run)
    whole["data"]["facts"]["splits"]["report"]["given"] = "validation"
    told = metadata(report.card(whole, packed))["model-index"][0]["results"][0]["dataset"]
    assert (told["name"], told["split"]) == ("owner/data:two", "validation")
    several = report.Packed(1000, origin=report.Origin(base_models=("a/b", "c/d")))
    found = metadata(report.card(run, several))
    assert (found["base_model"], found["base_model_relation"]) == (["a/b", "c/d"], "finetune")
    assert "datasets" not in found


def test_the_ladder_and_limits_are_for_people(run: dict[str, Any]) -> None:
    text = report.card(run)
    table = [line for line in text.splitlines() if line.startswith("|")]
    assert len(table) == 2 + len(run["rungs"])
    assert [line for line in table if "(this model)" in line] == [table[-1]]
    assert "| 22.7M | 90.9 MB | 94.0% (91.2 to 95.9) |" in table[2]
    for heading in ("Use", "How good it is", "The ladder", "Limits", "How it was made", "Licence"):
        assert f"\n## {heading}\n" in text
    assert "It was not recorded which language it reads" in text
    assert "not recorded which language" not in report.card(run, report.Packed(10, languages=("en",)))
    assert "always answers with one of its labels" not in report.card(
        run, report.Packed(10, task="multi-label")
    )
    teacher = report.card({**run, "summary": {**run["summary"], "bundle_cell": "teacher"}})
    assert "The teacher of a ladder of smaller models" in teacher
    assert "Its teacher:" not in teacher
    assert "The teacher of a ladder" in report.card(
        {**with_members(), "summary": {**run["summary"], "bundle_cell": "teacher-2"}}
    )


def test_hostile_names_stay_text_in_the_metadata(run: dict[str, Any]) -> None:
    poisoned = {**run, "recipe": {**run["recipe"], "name": HOSTILE}}
    packed = report.Packed(10, (Source(HOSTILE, HOSTILE, "MIT"),), origin=report.Origin(HOSTILE))
    text = report.card(poisoned, packed)
    found = metadata(text)
    assert found["model-index"][0]["name"] == clean(HOSTILE)
    assert found["model-index"][0]["results"][0]["dataset"]["name"].startswith(clean(HOSTILE))
    assert ModelCard(text).data.to_dict() == found
    assert "<script" not in text.partition("\n---\n")[0]


def test_the_page_and_the_api_show_the_card_without_its_metadata(run: dict[str, Any]) -> None:
    text = report.card(run)
    held = Bundle(about(), {"README.md": text.encode()})
    assert held.card == text[text.index("# movies") :]
    assert Bundle(about(), {"README.md": b"---\nopen: [\n\n# not closed\n"}).card.startswith("---\nopen")
    assert Bundle(about(), {"README.md": b"# Plain\n\n---\n\nrest\n"}).card == "# Plain\n\n---\n\nrest\n"


# --- the licence


@pytest.mark.parametrize(
    ("sources", "given_one", "expected", "says"),
    [
        ((), None, {"license": "unknown"}, "no licence is known of some"),
        ((APACHE, UNKNOWN), None, {"license": "unknown"}, "no licence is known of some"),
        ((APACHE, APACHE), None, {"license": "apache-2.0"}, "Apache-2.0, as all that it was made from."),
        ((APACHE, MIT), None, {"license": "other", "license_name": "see-its-sources"}, "different licences"),
        ((APACHE, UNKNOWN), "GPL-3.0-only", {"license": "gpl-3.0"}, "GPL-3.0-only."),
        ((MIT,), "My Own, v2!", {"license": "other", "license_name": "my-own-v2"}, "My Own, v2\\!."),
    ],
)
def test_the_licence_is_what_is_known_of_it(
    sources: tuple[Source, ...],
    given_one: str | None,
    expected: dict[str, str],
    says: str,
    run: dict[str, Any],
) -> None:
    assert licence(sources, given_one) == expected
    text = report.card(run, report.Packed(10, sources, licence=given_one))
    assert expected.items() <= metadata(text).items()
    assert says in text.rpartition("## Licence")[2]


# --- where it comes from

COMMIT = "0123456789abcdef0123456789abcdef01234567"


def results_of(environment: dict[str, Any], **changed: Any) -> dict[str, Any]:
    described = {
        "name": "toy",
        "data": {"source": "nyu-mll/glue:sst2", "text": "sentence", "label": "label"},
        "transfer": {
            "unlabeled": ["stanfordnlp/imdb:plain_text#unsupervised", "/home/me/more.csv"],
            "text": "text",
        },
        "teacher": {"model": ["assemblyai/big", "demo:minilm-l6"]},
        "rungs": [
            {"model": "google/small"},
            {"model": "teacher:2"},
            {"model": "compact", "max_params": 250_000},
        ],
        **changed,
    }
    cells = [{"id": "teacher", "position": 0}] + [{"id": f"rung{n}", "position": n} for n in (1, 2, 3)]
    return {
        "recipe": recipe.parse(described).model_dump(mode="json"),
        "environment": environment,
        "cells": cells,
        "members": [{"id": "teacher-1"}, {"id": "teacher-2"}],
    }


FETCHED = {
    "models": {"assemblyai/big": COMMIT, "google/small": COMMIT, "demo:minilm-l6": "d1g35t"},
    "data": {"nyu-mll/glue": COMMIT, "stanfordnlp/imdb": COMMIT},
}


def test_what_a_run_fetched_from_a_hub_is_named_as_the_hub_has_it() -> None:
    found = results_of(FETCHED)
    sources = [Source("nyu-mll/glue:sst2", "data"), Source("more.csv", "transfer text")]
    origin = lineage.origin(found, "rung3", sources)
    assert origin == report.Origin(
        measured_on="nyu-mll/glue:sst2",
        dataset="nyu-mll/glue",
        config="sst2",
        revision=COMMIT,
        datasets=("nyu-mll/glue", "stanfordnlp/imdb"),
        base_models=("assemblyai/big", "sentence-transformers/all-MiniLM-L6-v2"),
    )
    for cell, expected in {
        "teacher": origin.base_models,
        "teacher-1": ("assemblyai/big",),
        "teacher-2": ("sentence-transformers/all-MiniLM-L6-v2",),
        "rung1": ("google/small",),
        "rung2": origin.base_models,
    }.items():
        assert lineage.origin(found, cell, sources).base_models == expected


def test_what_only_looks_like_a_hubs_name_is_none() -> None:
    local = {"models": {"assemblyai/big": "d1g35t", "google/small": "d1g35t"}, "data": {}}
    found = results_of(local, teacher={"model": "assemblyai/big"})
    sources = [Source("nyu-mll/glue:sst2", "data"), Source("assemblyai/big", "teacher")]
    assert lineage.origin(found, "rung1", sources) == report.Origin(measured_on="nyu-mll/glue:sst2")


def test_sources_written_by_hand_say_what_others_know_the_data_by() -> None:
    """As in the recipe of the shipped model, which was run on folders."""
    data = {"source": "/home/me/sst2", "text": "sentence", "label": "label"}
    found = results_of({"models": {}, "data": {}}, data=data, teacher={"model": "demo:mpnet-base"})
    sources = [
        Source("sentence-transformers/all-mpnet-base-v2", "teacher", "Apache-2.0"),
        Source("nyu-mll/glue:sst2 (Socher et al. 2013)", "data"),
        Source("stanfordnlp/imdb (Maas et al. 2011)", "transfer text"),
        Source("letters of my own", "transfer text"),
    ]
    assert lineage.origin(found, "rung3", sources) == report.Origin(
        measured_on="nyu-mll/glue:sst2 (Socher et al. 2013)",
        dataset="nyu-mll/glue",
        config="sst2",
        datasets=("nyu-mll/glue", "stanfordnlp/imdb"),
        base_models=("sentence-transformers/all-mpnet-base-v2",),
    )


def test_a_file_of_ones_own_is_named_without_its_folder() -> None:
    data = {"source": "/home/me/reviews.csv", "text": "sentence", "label": "label"}
    found = results_of({"models": {}, "data": {}}, data=data, transfer=None)
    assert lineage.origin(found, "rung3", ()).measured_on == "reviews.csv"
