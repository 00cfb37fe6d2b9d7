"""The schema of results.json, and reports made from it alone."""

from __future__ import annotations

import copy
import functools
import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict, replace
from html.parser import HTMLParser
from importlib import resources
from itertools import combinations
from typing import Any, Literal

import jsonschema
import numpy as np
import pytest
from markdown_it import MarkdownIt

from stepdown import report, results
from stepdown.compare import Pair, compare, share_interval
from stepdown.data.facts import Conflicts, Facts, Lengths, Overlap, Removed, SplitFacts
from stepdown.errors import InputError
from stepdown.evaluate import Answered, Metric
from stepdown.evaluate.single_label import measure
from stepdown.outputs import Calibration
from stepdown.report import content, figures, plot, spending
from stepdown.report.markdown import escape
from stepdown.report.terminal import _width
from stepdown.results import Arm, Cell, Data, Environment, Results, Spent, Summary, Table
from stepdown.transfer import SourceFacts, TransferFacts

ARMS: tuple[Arm, ...] = ("direct", "one-hop", "chain", "dense")
HOSTILE = "<script src=//x.example>alert(1)</script>|`*_[a](javascript:b)\x1b[31m\n&\"'"


GATHERED = TransferFacts(8000, 0, (SourceFacts("reviews.csv", 5000, 0, 0, 12, 84, 0, 4904),))


SPENT = Spent(
    250_000, None, (Table("words", 2_000, 32), Table("words", 9_000, 16)), "gru", 56, 208_000, 31_312, 0.981
)


def calibrated(note: str | None = None, sets: bool = False) -> dict[str, Any]:
    """The results of a run whose models were calibrated, or were not because of `note`."""
    found = a_run()
    fitted = Calibration(1.0 if note else 2.114, None if note else "selection", None if note else 1355)
    if sets:
        fitted = replace(fitted, thresholds=(0.3, 0.4))
    answered = (
        Answered(0.5, Metric(1.0, 0.99, 1.0, 400), Metric(0.82, 0.78, 0.85, 400)),
        Answered(0.9, Metric(0.625, 0.58, 0.67, 400), Metric(0.952, 0.92, 0.975, 250)),
        Answered(0.99, Metric(0.0, 0.0, 0.01, 400), None),
    )
    for cell in found["cells"]:
        cell["calibration"], cell["calibration_note"] = asdict(fitted), note
        cell["abstaining"] = [] if sets else [asdict(one) for one in answered]
        cell["metrics"]["ece"] = Metric(0.036, 0.0, 0.041, 400)
        if not note:
            cell["metrics"]["ece_uncalibrated"] = Metric(0.085, 0.066, 0.105, 400)
            cell["metrics"]["nll_uncalibrated"] = Metric(0.4747, 0.4, 0.5, 400)
    results.validate(json.loads(json.dumps(found, default=asdict)))
    return found


def flat(page: str) -> str:
    """A page as one line, without the marks of Markdown."""
    return " ".join(page.replace("\\", "").split())


LAYOUTS = (report.terminal, report.markdown, report.html, report.card)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_calibration_is_told_before_and_after(layout: Callable[..., str]) -> None:
    told = flat(layout(calibrated()))
    assert "Scores are calibrated: temperature 2.11, fitted on 1,355 selection texts." in told
    assert ": 3.6% (0.0 to 4.1), 8.5% (6.6 to 10.5) before calibration. It is the mean distance" in told
    assert (
        "With --abstain-below 0.9, 62.5% of them are answered, 95.2% (92.0 to 97.5) of these rightly." in told
    )
    assert "--abstain-below 0.5" not in told, "all are answered"
    assert "--abstain-below 0.99" not in told, "none is answered"
    several = flat(layout(calibrated(sets=True)))
    assert "between a score and how often any label applies." in several


@pytest.mark.parametrize("layout", LAYOUTS)
def test_what_could_not_be_calibrated_is_told_with_the_reason(layout: Callable[..., str]) -> None:
    told = layout(calibrated(f"All 30 selection texts have the label {HOSTILE}."))
    assert "Scores are not calibrated but as the network gives them. All 30 selection texts have" in flat(
        told
    )
    assert "before calibration" not in told
    assert "<script" not in told.replace("\\", "") or layout is not report.html
    assert "\x1b" not in told


@pytest.mark.parametrize("layout", LAYOUTS)
def test_models_without_probabilities_have_no_calibration(layout: Callable[..., str]) -> None:
    assert "Scores are" not in layout(a_run())


def test_the_table_of_cells_has_temperatures_where_there_are_any() -> None:
    page = report.html(calibrated())
    assert '<th scope="col">ECE before</th><th scope="col">temperature</th>' in page
    assert "<td>0.0850</td><td>2.11</td>" in page
    assert "temperature" not in report.html(a_run()).split("Where it ran")[0]


def with_members() -> dict[str, Any]:
    """The results of a run with two teachers."""
    found = a_run()
    members = [found["cells"][0] | {"id": f"teacher-{n}", "model": f"encoder {n}"} for n in (1, 2)]
    return found | {"members": members}


def test_several_teachers_are_told_one_by_one() -> None:
    found = with_members()
    results.validate(found)
    assert results.parse(found).members[1].model == "encoder 2"
    for layout in (report.terminal, report.markdown, report.html):
        assert "mean of 2 models" in layout(found)
    assert "One of them: encoder 2, 22.7M parameters." in report.card(found)
    found["summary"]["bundle_cell"] = "teacher-2"
    assert "What it is: encoder 2" in report.card(found)
    assert "mean of 2 models" not in report.terminal(a_run())


def a_run(
    n: int = 400,
    label_names: tuple[str, ...] = ("negative", "positive"),
    seeds: int = 3,
    arms: tuple[Arm, ...] = ARMS,
    above: tuple[str, ...] = ("6-layer MiniLM, first 3 layers", "bidirectional GRU, 40K words"),
    name: str = "movies",
    timed: bool = True,
) -> dict[str, Any]:
    """The results of a made-up run, through the same functions as those of a real one."""
    rng = np.random.default_rng(0)
    classes = len(label_names)
    labels = rng.integers(0, classes, n)
    hardness = rng.normal(size=(n, classes))

    def logits(skill: float) -> np.ndarray:
        scores = hardness + 0.4 * rng.normal(size=(n, classes))
        scores[np.arange(n), labels] += skill
        return scores.astype(np.float32)

    given = logits(2.4)
    cells: list[dict[str, Any]] = []
    correct, agreed = {}, {}

    def add(position: int, model: str, arm: Arm | None, seed: int, params: int) -> None:
        scores = given if position == 0 else logits(2.4 - 0.3 * position - 0.2 * (arm == "direct"))
        metrics = measure(scores, labels, given if position else None)
        if timed:
            metrics["ms_per_text"] = Metric(params / 1e6, params / 1.1e6, params / 0.9e6, 20)
        kind: Literal["teacher", "rung"] = "rung" if position else "teacher"
        key = f"rung{position}-{arm}-seed{seed}" if position else kind
        found = Cell(key, kind, position, model, arm, seed, params, 4 * params, 60.0, metrics, metrics)
        if "GRU" in model:
            found = replace(found, spent=SPENT)
        cells.append(asdict(found))
        correct[key] = scores.argmax(1) == labels
        agreed[key] = scores.argmax(1) == given.argmax(1)

    add(0, "6-layer MiniLM, 384 wide", None, 0, 22_713_216)
    for seed in range(seeds):
        for position, model in enumerate(above, start=1):
            for arm in (None,) if position == 1 else tuple(a for a in arms if a in ("chain", "dense")):
                add(position, model, arm, seed, 11_000_000 // position**3)
        for arm in arms:
            add(len(above) + 1, "bidirectional GRU, 20K words", arm, seed, 249_312)
    last = [np.stack([correct[f"rung{len(above) + 1}-{arm}-seed{s}"] for s in range(seeds)]) for arm in arms]
    pairs = [Pair("arm", arms[i], arms[j], last[i], last[j]) for i, j in combinations(range(len(arms)), 2)]
    pairs.append(
        Pair("rung", "teacher", f"rung {len(above) + 1} ({arms[-1]})", correct["teacher"][None], last[-1])
    )
    student = cells[-1]
    rows = results.table(cells, correct, agreed)
    made = Results(
        schema=1,
        recipe={"name": name, "compare": {"arms": list(arms), "seeds": seeds}},
        environment=Environment("0.1.0", "3.11.7", "Linux x86_64", "cpu", "float32", 2, {"torch": "2.9"}),
        data=Data("single-label", label_names, 8000, 1000, n, 12_000, facts(label_names), GATHERED),
        cells=(),
        rungs=(),
        comparisons=tuple(compare(pairs)),
        summary=Summary(
            bundle_cell=student["id"],
            accuracy=Metric(**student["metrics"]["accuracy"]),
            mean_accuracy_over_seeds=rows[-1]["metrics"]["accuracy"]["value"],
            times_smaller=rows[-1]["times_smaller"],
            times_faster=rows[-1]["times_faster"],
            accuracy_kept=rows[-1]["accuracy_kept"],
            processor_hours=1.5,
            processor_hours_per_million_texts=0.07 if timed else None,
        ),
        coincide={} if above else {"one-hop": "chain", "dense": "chain"},
        bundle="runs/movies/bundle",
    )
    return {**results.to_dict(made), "cells": cells, "rungs": rows}


def facts(label_names: tuple[str, ...]) -> Facts:
    """What was found in made-up data."""
    one = SplitFacts(400, dict.fromkeys(label_names, 200), Lengths(12, 30, 60), "cut from train, 10%")
    return Facts(
        "movies.csv",
        "text",
        "label",
        "single-label",
        label_names,
        {"report": one},
        0,
        0,
        Removed(equal=2, overlapping=5),
        Conflicts(0, 0, ()),
        (Overlap("train", "report", 3, 4, 400),),
        ("Labels were sorted by name.",),
    )


@pytest.fixture
def run() -> dict[str, Any]:
    return shaped("four arms")


SHAPES: dict[str, dict[str, Any]] = {
    "four arms": {},
    "one seed": {"seeds": 1},
    "two seeds": {"seeds": 2},
    "one rung": {"above": ()},
    "one arm": {"arms": ("direct",)},
    "one rung, one arm, one seed": {"above": (), "arms": ("chain",), "seeds": 1},
    "77 classes": {"label_names": tuple(f"intent {i}" for i in range(77))},
    "very long names": {"name": "n" * 500, "above": ("m" * 500,), "label_names": ("l" * 500, "k" * 500)},
    "wide letters": {"name": "电影", "above": ("双向门控循环单元，四万词" * 3,), "label_names": ("好", "坏")},
    "not timed": {"timed": False},
    "two texts": {"n": 2},
}


@functools.cache
def shaped(name: str) -> dict[str, Any]:
    return a_run(**SHAPES[name])


@pytest.fixture(params=SHAPES)
def any_run(request: pytest.FixtureRequest) -> dict[str, Any]:
    return shaped(request.param)


# The schema


def test_the_shipped_schema_is_the_one_generated_from_the_types() -> None:
    shipped = resources.files("stepdown.report").joinpath("results.schema.json").read_text(encoding="utf-8")
    again = "python -m stepdown.results > src/stepdown/report/results.schema.json"
    assert json.loads(shipped) == results.schema(), f"the types have changed; write the schema again: {again}"
    jsonschema.Draft202012Validator.check_schema(json.loads(shipped))


def test_every_kind_of_run_follows_the_schema_and_survives_it(any_run: dict[str, Any]) -> None:
    plain = json.loads(json.dumps(any_run, allow_nan=False))
    jsonschema.validate(plain, results.schema())
    assert results.to_dict(results.parse(plain)) == plain


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("schema",), 2),
        (("cells", 0, "arm"), "sideways"),
        (("cells", 1, "params"), "many"),
        (("comparisons", 0, "verdict"), "superb"),
        (("rungs", 0, "metrics", "vibes"), {"value": 1.0, "low": 1.0, "high": 1.0, "n": 1}),
    ],
)
def test_what_breaks_the_schema_is_named(run: dict[str, Any], path: tuple[Any, ...], value: Any) -> None:
    broken = copy.deepcopy(run)
    place = broken
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value
    with pytest.raises(InputError, match=r"stepdown run.*\n") as caught:
        results.validate(broken)
    assert ".".join(map(str, path)) in str(caught.value)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(json.loads(json.dumps(broken)), results.schema())


def test_all_missing_keys_are_named_at_once(run: dict[str, Any]) -> None:
    broken = {key: value for key, value in run.items() if key not in ("data", "summary")}
    with pytest.raises(InputError) as caught:
        results.validate(broken)
    assert "data" in str(caught.value)
    assert "summary" in str(caught.value)


def test_additions_are_free(run: dict[str, Any]) -> None:
    assert results.parse({**run, "weather": "fine"}) == results.parse(run)
    assert json.loads(report.json({**run, "weather": "fine"}))["weather"] == "fine"


def test_a_number_that_json_cannot_hold_is_refused(run: dict[str, Any]) -> None:
    typed = results.parse(run)
    summary = replace(typed.summary, processor_hours=float("nan"))
    with pytest.raises(ValueError, match="JSON compliant"):
        results.to_dict(replace(typed, summary=summary))


def test_rows_of_the_table(run: dict[str, Any]) -> None:
    rows = results.parse(run).rungs
    assert [(row.position, row.arm, row.seeds) for row in rows] == [
        (0, None, 1), (1, None, 3), (2, "chain", 3), (2, "dense", 3),
        (3, "direct", 3), (3, "one-hop", 3), (3, "chain", 3), (3, "dense", 3),
    ]  # fmt: skip
    cells = [cell for cell in results.parse(run).cells if cell.position == 3 and cell.arm == "chain"]
    chain = rows[6]
    assert chain.metrics["accuracy"].value == pytest.approx(
        np.mean([cell.metrics["accuracy"].value for cell in cells])
    )
    assert chain.metrics["ms_per_text"].value == cells[0].metrics["ms_per_text"].value
    assert chain.metrics["ms_per_text"].n == 60
    assert chain.times_smaller == pytest.approx(22_713_216 / 249_312)
    assert chain.times_faster == pytest.approx(22_713_216 / 249_312)
    assert chain.accuracy_kept == pytest.approx(
        chain.metrics["accuracy"].value / rows[0].metrics["accuracy"].value
    )


def test_intervals_of_the_table_are_those_over_seeds() -> None:
    rng = np.random.default_rng(1)
    cell = Cell("teacher", "teacher", 0, "t", None, 0, 0, 0, 1.0, {}, {})
    rungs = [replace(cell, id=f"r{s}", kind="rung", position=1, seed=s, params=10 + s) for s in (2, 0, 1)]
    correct = {one.id: rng.random(50) < 0.7 for one in (cell, *rungs)}
    rows = results.table([asdict(one) for one in (cell, *rungs)], correct, {})
    over_seeds = share_interval(np.stack([correct[key] for key in ("r0", "r1", "r2")]))
    assert rows[1]["metrics"] == {"accuracy": asdict(over_seeds)}
    # A teacher that is ready-made labels has neither parameters nor a time.
    assert (rows[1]["params"], rows[1]["times_smaller"], rows[1]["times_faster"]) == (12, None, None)


# What every layout says


@pytest.mark.parametrize("form", report.FORMATS)
def test_every_layout_of_every_run_says_what_matters(any_run: dict[str, Any], form: str) -> None:
    text = report.FORMATS[form](any_run)
    assert text.endswith("\n")
    if form == "json":
        assert json.loads(text) == json.loads(json.dumps(any_run))
        return
    told = content.content(results.parse(any_run))
    for line in told.lines:
        assert line.primary in text
        assert line.parameters in text
    assert "stepdown predict runs/movies/bundle" in text
    flat = " ".join(text.split())
    assert "unlabelled text of the same kind" in flat
    assert "processor hours" in flat
    assert ("Fewer than 3 seeds" in flat) == (any_run["rungs"][-1]["seeds"] < 3)
    assert ("would train the same student as chain" in flat) == bool(any_run["coincide"])


def test_findings_are_sentences(run: dict[str, Any]) -> None:
    told = content.content(results.parse(run))
    assert told.headline == (
        "The student (bidirectional GRU, 20K words) has 249,312 parameters in 997 kB, 91× smaller and 91× faster "
        f"than the teacher, and keeps {told.lines[-1].kept} of its accuracy "
        f"({told.lines[-1].primary.split()[0]} against {told.lines[0].primary.split()[0]})."
    )
    assert told.warnings[0].startswith("3 of 400 report texts share a run of words")
    data = " ".join(told.sections["Data"])
    assert "8,000 training texts, 1,000 to select on, 400 to report on" in data
    assert "7 labelled texts and 84 unlabelled ones" in data
    assert "2 labels: negative, positive." in data


def test_what_a_budget_was_spent_on_is_a_sentence(run: dict[str, Any]) -> None:
    told = content.content(results.parse(run)).sections["What the budgets were spent on"]
    assert len(told) == 2, "one for each rung that was built to a budget"
    assert told[1] == (
        "Rung 3 (bidirectional GRU, 20K words): of at most 250,000 parameters, 208,000 parameters are in tables "
        "(words 2,000 × 32 + 9,000 × 16) and 31,312 in the network, of hidden size 56; the vocabulary holds 98.1% of "
        "the running words of the train texts whole."
    )
    assert told[1].split(": ")[1].split(" ×")[0] in report.card(run)
    bag = Spent(None, 500_000, (Table("words", 9, 2), Table("word pairs", 70, 1)), None, None, 88, 6, 1.0)
    said = spending.spending(1, "bag", bag)
    assert "of at most 500 kB, 88 parameters are in tables (words 9 × 2; word pairs 70 × 1) and 6 in" in said


def test_many_labels_are_cut_short() -> None:
    told = content.content(results.parse(shaped("77 classes")))
    assert any(
        said.startswith("77 labels: intent 0,") and said.endswith("and 69 more.")
        for said in told.sections["Data"]
    )


def test_a_shown_difference_comes_first() -> None:
    run = a_run(n=2000)
    shown = content.content(results.parse(run)).sections["Which way of teaching"]
    verdicts = [c for c in run["comparisons"] if c["kind"] == "arm" and c["verdict"] != "no difference shown"]
    assert verdicts, "the made-up run should show something"
    assert shown[0].startswith("Shown: ")
    assert f"{verdicts[0]['b']} is {verdicts[0]['verdict']} than {verdicts[0]['a']}" in shown[0]


@pytest.mark.parametrize(
    ("number", "says"),
    [(0, "0"), (950, "950"), (249_312, "249,312"), (1_380_000, "1.38M"), (9_996_000, "10.0M"),
     (22_713_216, "22.7M"), (340_000_000, "340.0M"), (7_000_000_000, "7.00B")],
)  # fmt: skip
def test_counts(number: int, says: str) -> None:
    assert figures.count(number) == says


@pytest.mark.parametrize(
    ("number", "says"),
    [(0, "0 B"), (999, "999 B"), (1000, "1.0 kB"), (285_900, "286 kB"), (999_600, "1.0 MB"), (90_852_864, "90.9 MB"),
     (2_500_000_000, "2.5 GB")],
)  # fmt: skip
def test_sizes(number: int, says: str) -> None:
    assert figures.size(number) == says


@pytest.mark.parametrize(
    ("value", "says"),
    [(0.0, "0"), (0.0001234, "0.00012"), (0.07, "0.070"), (0.25, "0.25"), (1.38, "1.4"), (9.96, "10"), (22.7, "23"),
     (1234.5, "1,234")],
)  # fmt: skip
def test_short_numbers(value: float, says: str) -> None:
    assert figures.short(value) == says


@pytest.mark.parametrize(
    ("ratio", "says"), [(None, "–"), (91.1, "91×"), (9.96, "10×"), (1.84, "1.8×"), (0.62, "0.62×")]
)
def test_ratios(ratio: float | None, says: str) -> None:
    assert figures.times(ratio) == says


# Layouts


def tables(text: str) -> list[list[str]]:
    blocks = [block.splitlines() for block in text.split("\n\n")]
    return [block for block in blocks if block[0].split()[:3] == ["rung", "model", "arm"]]


@pytest.mark.parametrize("width", [40, 60, 80, 100, 120, 200])
def test_terminal_tables_fit_and_align(any_run: dict[str, Any], width: int) -> None:
    text = report.terminal(any_run, width)
    found = tables(text)
    assert len(found) == 1 if width == 200 and "m" * 40 not in text else found
    for table in found:
        assert len(table) == 1 + len(any_run["rungs"])
        # The last column is set to the right, so every line of a table ends in the same place.
        assert len({_width(line) for line in table}) == 1
        assert _width(table[0]) <= max(width, 52)
    for line in text.splitlines():
        assert (
            _width(line) <= max(width, 52)
            or line.startswith(("Bundle: ", "Try it: "))
            or " " not in line.strip()
        )


def test_terminal_shows_each_column_once_at_any_width(run: dict[str, Any]) -> None:
    for width in (40, 70, 100, 200):
        heads = "  ".join(table[0] for table in tables(report.terminal(run, width)))
        for heading in (
            "parameters",
            "accuracy (95% interval)",
            "as teacher",
            "ms/text",
            "smaller",
            "faster",
            "kept",
        ):
            assert heads.count(heading) == 1


def test_a_long_name_keeps_its_beginning_and_its_end() -> None:
    run = a_run(above=("/home/someone/models/" + "deep/" * 30 + "final-checkpoint",))
    assert any(
        "/hom" in line and "…" in line and "point" in line for line in report.terminal(run, 80).splitlines()
    )


class Page(HTMLParser):
    """Checks that tags nest, and gathers what a browser would see."""

    void = frozenset({"meta", "path"})

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []
        self.feed(page)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in self.void:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text.append(data)


def test_the_page_nests_and_asks_for_nothing(any_run: dict[str, Any]) -> None:
    page = report.html(any_run)
    seen = Page(page)
    names = {tag for tag, _ in seen.tags}
    assert not names & {
        "script",
        "link",
        "img",
        "iframe",
        "object",
        "embed",
        "a",
        "base",
        "form",
        "video",
        "audio",
    }
    for _, attributes in seen.tags:
        assert not {"src", "href", "srcset", "style", "onload", "onerror", "onclick"} & set(attributes)
    assert "url(" not in page
    assert "@import" not in page
    assert "://" not in page
    assert any(
        dict(a).get("content", "").startswith("default-src 'none'") for t, a in seen.tags if t == "meta"
    )
    assert ("html", {"lang": "en"}) in seen.tags
    assert sum(tag == "h1" for tag, _ in seen.tags) == 1
    assert sum(tag == "svg" and "role" in attributes for tag, attributes in seen.tags) == 1


def poisoned(run: dict[str, Any]) -> dict[str, Any]:
    """The run with hostile text wherever text of a user can be."""
    bad = copy.deepcopy(run)
    bad["recipe"] = {"name": HOSTILE, HOSTILE: HOSTILE}
    bad["bundle"] = HOSTILE
    for row in (*bad["cells"], *bad["rungs"]):
        row["model"] = HOSTILE
    for comparison in bad["comparisons"]:
        comparison["a"] = comparison["b"] = HOSTILE
    data = bad["data"]
    data["label_names"] = data["facts"]["label_names"] = [HOSTILE, HOSTILE + "2"]
    data["facts"]["notes"] = [HOSTILE]
    data["facts"]["splits"] = {HOSTILE: {**next(iter(data["facts"]["splits"].values())), "origin": HOSTILE}}
    for key in ("stepdown", "python", "platform", "device", "precision"):
        bad["environment"][key] = HOSTILE
    bad["environment"]["packages"] = {HOSTILE: HOSTILE}
    return bad


def test_hostile_text_stays_text_on_the_page(run: dict[str, Any]) -> None:
    clean, seen = Page(report.html(run)), Page(report.html(poisoned(run)))
    kinds = {(tag, tuple(sorted(attributes))) for tag, attributes in clean.tags}
    assert {(tag, tuple(sorted(attributes))) for tag, attributes in seen.tags} <= kinds
    assert "<script src=//x.example>alert(1)</script>" in "".join(seen.text)
    assert "\x1b" not in "".join(seen.text)


@pytest.mark.parametrize("write", [report.terminal, report.markdown, report.card])
def test_hostile_text_steers_no_terminal(run: dict[str, Any], write: Any) -> None:
    text = write(poisoned(run))
    assert all(letter.isprintable() or letter == "\n" for letter in text)


@pytest.mark.parametrize("write", [report.markdown, report.card])
def test_hostile_text_stays_text_in_markdown(run: dict[str, Any], write: Any) -> None:
    reader = MarkdownIt("commonmark").enable("table")
    clean, seen = Page(reader.render(write(run))), Page(reader.render(write(poisoned(run))))
    assert {tag for tag, _ in seen.tags} == {tag for tag, _ in clean.tags}
    assert sum(tag == "td" for tag, _ in seen.tags) == sum(tag == "td" for tag, _ in clean.tags)
    assert "<script src=//x.example>alert(1)</script>|`*_[a](javascript:b)" in "".join(seen.text)


def test_the_command_in_markdown_cannot_leave_its_fence(run: dict[str, Any]) -> None:
    text = report.markdown({**run, "bundle": "runs/```\n# gone"})
    opening = next(line for line in text.splitlines() if line.endswith("sh"))
    assert opening == "````sh"
    assert "\n# gone" not in text


def test_the_command_quotes_a_path_for_the_shell(run: dict[str, Any]) -> None:
    assert "stepdown predict 'runs/my run/bundle' " in report.terminal(
        {**run, "bundle": "runs/my run/bundle"}, 100
    )


def test_a_run_without_a_bundle_offers_none(run: dict[str, Any]) -> None:
    for write in (report.terminal, report.markdown, report.html):
        assert "stepdown predict" not in write({**run, "bundle": None})


def test_escaping_leaves_plain_words_alone() -> None:
    assert escape("3 of 400 texts (2 to 4%) – fine.") == "3 of 400 texts (2 to 4%) – fine."


def test_the_plot_puts_accuracy_up_and_parameters_right(run: dict[str, Any]) -> None:
    rows = results.parse(run).rungs
    drawing = Page(plot.plot(rows))
    marks = [a for tag, a in drawing.tags if tag == "path" and (a.get("class") or "").startswith("mark")]
    spots = [tuple(map(float, str(a["transform"])[10:-1].split())) for a in marks]
    assert len(spots) == len(rows)
    accuracies = [row.metrics["accuracy"].value for row in rows]
    assert np.argsort([-y for _, y in spots]).tolist() == np.argsort(accuracies).tolist()
    across = [x for x, _ in spots]
    assert across[0] > across[1] > max(across[2:4]) > max(across[4:])
    # Arms of one student have the same parameters and stand side by side.
    assert np.diff(across[4:]).tolist() == pytest.approx([plot.DODGE] * 3, abs=0.11)
    for x, y in spots:
        assert plot.LEFT <= x <= plot.WIDTH - plot.RIGHT
        assert plot.TOP <= y <= plot.HEIGHT - plot.BOTTOM


def test_the_plot_says_what_it_shows(run: dict[str, Any]) -> None:
    assert "Accuracy against parameters, with 95% intervals." in report.html(run)
    by_teacher = {**run, "metric": "agreement", "data": {**run["data"], "judged_by": {"report": "teacher"}}}
    page = report.html(by_teacher)
    assert "Agreement with the teacher against parameters, with 95% intervals." in page
    assert "agreement with the teacher 9" in page
    assert "ccuracy against parameters" not in page
    rows = results.parse(run).rungs
    assert '<title id="plot-title">Micro F1 against parameters' in plot.plot(rows, "accuracy", "micro F1")


def test_the_plot_of_soft_labels_without_a_model_leaves_them_out(run: dict[str, Any]) -> None:
    rows = results.parse(run).rungs
    assert plot.plot([replace(rows[0], params=0)]) == ""
    assert "teacher" not in plot.plot([replace(rows[0], params=0), rows[-1]]) + plot.legend([rows[-1]])


def test_the_card_tells_of_the_very_model_in_the_bundle(run: dict[str, Any]) -> None:
    packed = {key: value for key, value in run.items() if key != "bundle"}
    text = report.card(packed)
    student = next(cell for cell in run["cells"] if cell["id"] == run["summary"]["bundle_cell"])
    assert f"kept aside: {student['metrics']['accuracy']['value'] * 100:.1f}%" in text
    assert "Mean over 3 seeds trained alike" in text
    assert "soft labels of the teacher and of all rungs above it" in text
    assert "negative, positive" in text


def test_the_card_of_another_cell_tells_of_that_cell(run: dict[str, Any]) -> None:
    alike = [cell for cell in run["cells"] if cell["position"] == 3 and cell["arm"] == "direct"]
    mean = np.mean([cell["metrics"]["accuracy"]["value"] for cell in alike])
    best = max(cell["selection_metrics"]["accuracy"]["value"] for cell in alike)
    for cell in alike:
        text = report.card({**run, "summary": {**run["summary"], "bundle_cell": cell["id"]}})
        own = cell["metrics"]["accuracy"]["value"]
        assert f"Accuracy on 400 texts kept aside: {own * 100:.1f}%" in text
        assert f"Mean over 3 seeds trained alike: {mean * 100:.1f}% (" in text
        chosen = cell["selection_metrics"]["accuracy"]["value"] == best
        assert ("did best on the selection texts" in text) is chosen
    assert len({cell["metrics"]["accuracy"]["value"] for cell in alike}) > 1


@pytest.mark.parametrize(
    ("task", "is_pair", "says"),
    [
        ("single-label", False, ("It answers with one of 2 labels", 'FOLDER "…"\n', '(["…"])')),
        ("multi-label", True, ("with those of 2 labels that apply", 'FOLDER "…" "…"\n', '([("…", "…")])')),
        ("regression", False, ("It answers with a number: negative, positive.", '(["…"])')),
    ],
)
def test_the_card_says_how_to_ask(
    run: dict[str, Any], task: Any, is_pair: bool, says: tuple[str, ...]
) -> None:
    text = report.card(run, report.Packed(10, task=task, is_pair=is_pair))
    for said in says:
        assert said in text


def test_reports_need_no_torch() -> None:
    code = "import sys, stepdown.report; print([m for m in ('torch', 'transformers') if m in sys.modules])"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"
