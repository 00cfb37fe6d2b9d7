"""`stepdown predict` for several labels, for numbers, and for pairs of texts."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny_bundle
from click.testing import CliRunner
from test_predict import called, objects

from stepdown.cli.predict import predict
from stepdown.errors import DataError, InputError
from stepdown.runtime import Classifier, bundle
from stepdown.runtime.predict import answers

# One of them would be two in a list that is only joined.
LABELS = ("praise", "blame; harsh", 'a "question"', "thanks")
SAYS = {
    "several": tiny_bundle.about(LABELS, task="multi-label", thresholds=(0.43, 0.6, 0.5, 0.6)),
    "number": tiny_bundle.about(("stars",), task="regression"),
    "pair": tiny_bundle.about(is_pair=True),
    "single": tiny_bundle.about(),
}
SAYS["several of pairs"] = replace(SAYS["several"], is_pair=True)
SAYS["number of pairs"] = replace(SAYS["number"], is_pair=True)
TEXTS = ["good movie!", "not a bad movie.", "the", "", "do n't", "good " * 40]
TWO = [("good movie", "not bad"), ("", "the"), ('a "quoted", one', "good " * 30)]


@pytest.fixture(scope="module")
def paths(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("bundles")
    for name, says in SAYS.items():
        bundle.write(folder / name, says, tiny_bundle.bundle_of(folder, says).files)
    return {name: folder / name for name in SAYS}


def refused(*arguments: str | Path, stdin: str = "") -> str:
    """What `stepdown predict` says of a mistake, before it wrote anything."""
    result = CliRunner().invoke(predict, list(map(str, arguments)), input=stdin)
    assert isinstance(result.exception, InputError), result.output
    assert result.stdout == ""
    return str(result.exception)


# --- several labels -------------------------------------------------------------------------------------------------


def test_an_answer_lists_the_labels_that_apply(paths: dict[str, Path]) -> None:
    asked = Classifier.load(paths["several"])
    probabilities, sets = asked.predict_proba(TEXTS), asked.predict(TEXTS)
    found = objects(called(paths["several"], *TEXTS))
    assert found == answers(asked, TEXTS, 5)
    for answer, text, names, row in zip(found, TEXTS, sets, probabilities, strict=True):
        truncated = ["truncated"] if text == TEXTS[-1] else []
        assert list(answer) == ["text", "labels", "scores", *truncated]
        assert (answer["text"], answer["labels"]) == (text, names)
        assert list(answer["scores"]) == [LABELS[index] for index in np.argsort(-row)]
        assert list(answer["scores"].values()) == pytest.approx(sorted(row, reverse=True), abs=1e-6)
    assert {len(answer["labels"]) for answer in found} == {0, 1, 2}


def test_top_bounds_the_scores_and_not_the_labels(paths: dict[str, Path]) -> None:
    whole = objects(called(paths["several"], *TEXTS, "--top", "0"))
    one = objects(called(paths["several"], *TEXTS, "--top", "1"))
    assert [answer["labels"] for answer in one] == [answer["labels"] for answer in whole]
    assert max(len(answer["labels"]) for answer in one) == 2
    assert [list(answer["scores"]) for answer in one] == [list(answer["scores"])[:1] for answer in whole]
    assert all(len(answer["scores"]) == 4 for answer in whole)


def test_a_table_joins_labels_so_that_they_can_be_parted(paths: dict[str, Path], tmp_path: Path) -> None:
    called(paths["several"], *TEXTS, "--output", tmp_path / "out.csv")
    with (tmp_path / "out.csv").open(encoding="utf-8", newline="") as opened:
        rows = list(csv.DictReader(opened))
    assert list(rows[0]) == ["text", "labels", "scores", "truncated"]
    expected = answers(Classifier.load(paths["several"]), TEXTS, 5)
    assert any("blame; harsh" in answer["labels"] for answer in expected)
    for row, answer in zip(rows, expected, strict=True):
        assert next(csv.reader([row["labels"]], delimiter=";"), []) == answer["labels"]
        assert json.loads(row["scores"]) == answer["scores"]
    assert [row["labels"] for row in rows if not row["labels"].strip('"')] == [""], (
        "no label is an empty cell"
    )
    assert rows[2]["labels"] == "thanks;praise", "plain names have no quotes"


def test_only_what_an_answer_holds_takes_a_column_its_name(paths: dict[str, Path], tmp_path: Path) -> None:
    row = "text,label,labels,score,value\ngood,a,b,c,d\n"
    (tmp_path / "in.csv").write_text(row)
    kept = {
        "single": {"input_label": "a", "labels": "b", "input_score": "c", "value": "d"},
        "several": {"label": "a", "input_labels": "b", "score": "c", "value": "d"},
        "number": {"label": "a", "labels": "b", "score": "c", "input_value": "d"},
    }
    for name, columns in kept.items():
        (found,) = objects(called(paths[name], "--input", tmp_path / "in.csv"))
        assert found.items() >= columns.items()
        called(paths[name], "--input", tmp_path / "in.csv", "--output", tmp_path / "out.csv")
        with (tmp_path / "out.csv").open(encoding="utf-8", newline="") as opened:
            (cells,) = csv.DictReader(opened)
        assert cells.items() >= columns.items()


# --- answers held back ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["single", "several"])
def test_what_no_label_is_sure_enough_of_gets_none(paths: dict[str, Path], name: str) -> None:
    asked = Classifier.load(paths[name])
    best = asked.predict_proba(TEXTS).max(1)
    least = float(np.median(best))
    result = CliRunner().invoke(predict, [str(paths[name]), *TEXTS, "--abstain-below", repr(least)])
    assert result.exit_code == 0, result.output
    found, plain = objects(result.stdout), objects(called(paths[name], *TEXTS))
    silent = (best < np.float32(least)).tolist()
    assert 0 < sum(silent) < len(TEXTS)
    assert result.stderr == f"Abstained, no label reaching {least:g}: {sum(silent)} of {len(TEXTS)}.\n"
    for answer, whole, no in zip(found, plain, silent, strict=True):
        nothing = {"label": None} if name == "single" else {"labels": []}
        assert answer == (whole | nothing | {"abstained": True} if no else whole)
    guarded = asked.predict(TEXTS, abstain_below=least)
    assert guarded == [None if no else own for no, own in zip(silent, asked.predict(TEXTS), strict=True)]


def test_the_ends_hold_back_nothing_and_everything(paths: dict[str, Path]) -> None:
    asked = Classifier.load(paths["several"])
    assert asked.predict(TEXTS, abstain_below=0) == asked.predict(TEXTS)
    assert asked.predict(TEXTS, abstain_below=1) == [None] * len(TEXTS)
    assert answers(asked, TEXTS, 5, 0.0) == answers(asked, TEXTS, 5)
    assert asked.predict([], abstain_below=0.5) == []


def test_a_table_says_where_it_abstained(paths: dict[str, Path], tmp_path: Path) -> None:
    (tmp_path / "in.csv").write_text("text,abstained,label\ngood movie!,a,x\nthe,b,y\n", encoding="utf-8")
    arguments = ("--input", tmp_path / "in.csv", "--abstain-below", "1")
    called(paths["single"], *arguments, "--output", tmp_path / "out.csv")
    with (tmp_path / "out.csv").open(encoding="utf-8", newline="") as opened:
        rows = list(csv.DictReader(opened))
    names = ["text", "input_abstained", "input_label", "label", "score", "scores", "abstained", "truncated"]
    assert list(rows[0]) == names
    assert [(row["label"], row["abstained"], row["input_abstained"]) for row in rows] == [
        ("", "true", "a"),
        ("", "true", "b"),
    ]
    assert all(float(row["score"]) > 0.3 for row in rows)
    # A name of ours is ours in every row, whether it says anything there or not.
    (found,) = objects(
        CliRunner()
        .invoke(predict, [str(paths["single"]), *map(str, arguments[:2]), "--abstain-below", "0"])
        .stdout.splitlines()[0]
    )
    assert found["input_abstained"] == "a"
    assert "abstained" not in found
    called(paths["several"], "the", "--abstain-below", "1", "--output", tmp_path / "out.tsv")
    with (tmp_path / "out.tsv").open(encoding="utf-8", newline="") as opened:
        (row,) = csv.DictReader(opened, delimiter="\t")
    assert (row["labels"], row["abstained"]) == ("", "true")


def test_abstentions_are_counted_beside_rows_that_cannot_be_read(
    paths: dict[str, Path], tmp_path: Path
) -> None:
    (tmp_path / "in.jsonl").write_text('{"text": "good"}\nnothing\n{"text": "bad"}\n', encoding="utf-8")
    arguments = ["--input", str(tmp_path / "in.jsonl"), "--abstain-below", "1", "--skip-bad-rows"]
    result = CliRunner().invoke(predict, [str(paths["single"]), *arguments])
    assert "Abstained, no label reaching 1: 2 of 2.\n" in result.stderr
    assert "Rows that could not be read: 1; answered: 2." in result.stderr
    assert "Abstained" not in CliRunner().invoke(predict, [str(paths["single"]), "good"]).stderr


def test_what_can_be_no_probability_is_told(paths: dict[str, Path]) -> None:
    for value in ("1.01", "-0.1", "sure"):
        result = CliRunner().invoke(predict, [str(paths["single"]), "good", "--abstain-below", value])
        assert (result.exit_code, result.stdout) == (2, ""), value
        assert "--abstain-below" in result.stderr
    assert "--abstain-below is nan" in refused(paths["single"], "good", "--abstain-below", "nan")
    asked = Classifier.load(paths["single"])
    for wrong in (1.5, float("nan"), True, "0.5"):
        with pytest.raises(
            InputError, match=r"abstain_below is .*; expected a probability, a number from 0 to 1"
        ):
            asked.predict(["good"], abstain_below=wrong)  # type: ignore[arg-type]  # on purpose


def test_a_number_has_no_probability_to_abstain_by(paths: dict[str, Path]) -> None:
    told = refused(paths["number"], "good", "--abstain-below", "0.5")
    assert told == (
        "The model predicts a number, 'stars', and no probability to abstain by. Leave --abstain-below out."
    )
    with pytest.raises(InputError, match=r"no probability to abstain by\. Leave abstain_below out"):
        Classifier.load(paths["number"]).predict(["good"], abstain_below=0.5)


def test_no_temperature_changes_the_label(tmp_path: Path) -> None:
    """At a high one, probabilities of logits that differ in their last digits are the same float32."""
    table, matrix = tiny_bundle.weights(labels=3)
    matrix[:, 1:] = matrix[:, :1] * np.float32([1 + 1e-6, 1 + 2e-6])
    says = tiny_bundle.about(temperature=1000.0)
    files = tiny_bundle.contents(tmp_path, tiny_bundle.model(table, matrix))
    asked = Classifier(bundle.Bundle(says, files))
    assert all(len(set(row)) == 1 for row in asked.predict_proba(TEXTS).tolist())
    assert all(len(set(row)) == 3 for row in asked.logits(TEXTS).tolist())
    labels = asked.predict(TEXTS)
    assert [answer["label"] for answer in answers(asked, TEXTS, 5)] == labels
    assert set(labels) == {"negative", "positive"}


# --- numbers --------------------------------------------------------------------------------------------------------


def test_a_number_is_answered_with_its_value(paths: dict[str, Path], tmp_path: Path) -> None:
    values = Classifier.load(paths["number"]).predict(TEXTS)
    found = objects(called(paths["number"], *TEXTS))
    assert found[0] == {"text": TEXTS[0], "value": values[0]}
    assert [answer["value"] for answer in found] == values
    assert [answer.get("truncated", False) for answer in found] == [False] * 5 + [True]
    called(paths["number"], *TEXTS, "--output", tmp_path / "out.tsv")
    with (tmp_path / "out.tsv").open(encoding="utf-8", newline="") as opened:
        rows = list(csv.DictReader(opened, delimiter="\t"))
    assert list(rows[0]) == ["text", "value", "truncated"]
    assert [float(row["value"]) for row in rows] == values
    assert [row["truncated"] for row in rows] == [""] * 5 + ["true"]


def test_a_number_has_no_labels_to_score(paths: dict[str, Path]) -> None:
    assert "predicts a number, 'stars'" in refused(paths["number"], "good", "--top", "3")
    assert "Leave --top out" in refused(paths["number"], "--top", "5", stdin="good\n")


# --- pairs ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["pair", "several of pairs", "number of pairs"])
def test_two_texts_are_one_pair(paths: dict[str, Path], name: str) -> None:
    asked = Classifier.load(paths[name])
    (found,) = objects(called(paths[name], *TWO[0]))
    assert [found] == answers(asked, [TWO[0]], 5)
    assert found["text"] == list(TWO[0])
    assert answers(asked, [list(TWO[0])], 5) == [found]
    stated = {"pair": "label", "several of pairs": "labels", "number of pairs": "value"}[name]
    assert [found[stated]] == asked.predict([TWO[0]])


def test_other_counts_of_texts_are_told_what_to_do(paths: dict[str, Path]) -> None:
    for texts, says in ((("one",), "One text was given"), (("a", "b", "c"), "3 texts were given")):
        told = refused(paths["pair"], *texts)
        assert says in told
        assert "two TEXTs make one" in told
        assert "--column FIRST --column SECOND" in told


def test_lines_of_pairs_have_one_tab(paths: dict[str, Path], tmp_path: Path) -> None:
    expected = answers(Classifier.load(paths["pair"]), TWO, 5)
    lines = "".join(f"{first}\t{second}\n" for first, second in TWO)
    assert objects(called(paths["pair"], stdin=lines)) == expected
    assert objects(called(paths["pair"], stdin="\ufeff" + lines.replace("\n", "\r\n"))) == expected
    (tmp_path / "in.txt").write_text(lines, encoding="utf-8")
    assert objects(called(paths["pair"], "--input", tmp_path / "in.txt")) == expected
    assert "two texts with a tab" in refused(
        paths["pair"], "--input", tmp_path / "in.txt", "--column", "a", "--column", "b"
    )
    for line, tabs in (("no tab", 0), ("", 0), ("a\tb\tc", 2)):
        told = refused(paths["pair"], stdin=f"{line}\n")
        assert f"stdin, row 1: {tabs} tabs. Expected two texts with one tab between them" in told
    skipped = CliRunner().invoke(predict, [str(paths["pair"]), "--skip-bad-rows"], input="a\tb\nc\n\td\n")
    assert [answer["text"] for answer in objects(skipped.stdout)] == [["a", "b"], ["", "d"]]
    assert "Rows that could not be read: 1; answered: 2." in skipped.stderr
    assert objects(called(paths["single"], "a\tb"))[0]["text"] == "a\tb", "a tab is nothing to single texts"


@pytest.fixture(params=[".csv", ".tsv", ".jsonl", ".parquet"])
def file(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """The pairs in every format, and a column beside them."""
    path = tmp_path / f"in{request.param}"
    rows = [{"id": n, "premise": one, "hypothesis": two} for n, (one, two) in enumerate(TWO)]
    if path.suffix == ".jsonl":
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    elif path.suffix == ".parquet":
        pyarrow = pytest.importorskip("pyarrow")
        pytest.importorskip("pyarrow.parquet").write_table(pyarrow.Table.from_pylist(rows), path)
    else:
        with path.open("w", newline="", encoding="utf-8") as opened:
            writer = csv.DictWriter(opened, list(rows[0]), delimiter="\t" if path.suffix == ".tsv" else ",")
            writer.writeheader()
            writer.writerows(rows)
    return path


def test_two_columns_make_a_pair(paths: dict[str, Path], file: Path, tmp_path: Path) -> None:
    asked = Classifier.load(paths["pair"])
    found = objects(called(paths["pair"], "--input", file))
    assert [answer["text"] for answer in found] == [list(pair) for pair in TWO]
    assert [(answer["premise"], answer["hypothesis"]) for answer in found] == TWO
    assert [str(answer["id"]) for answer in found] == ["0", "1", "2"]
    named = ("--column", "hypothesis", "--column", "premise")
    turned = objects(called(paths["pair"], "--input", file, *named))
    expected = answers(asked, [(two, one) for one, two in TWO], 5)
    assert [answer["text"] for answer in turned] == [answer["text"] for answer in expected]
    assert [answer["scores"] for answer in turned] == [answer["scores"] for answer in expected]
    if file.suffix != ".jsonl":
        called(paths["pair"], "--input", file, "--output", tmp_path / "out.csv")
        with (tmp_path / "out.csv").open(encoding="utf-8", newline="") as opened:
            rows = list(csv.DictReader(opened))
        assert list(rows[0]) == ["id", "premise", "hypothesis", "label", "score", "scores", "truncated"]
        assert [(row["premise"], row["hypothesis"]) for row in rows] == TWO


def test_a_table_of_pairs_without_columns_can_be_read_again(paths: dict[str, Path], tmp_path: Path) -> None:
    table = tmp_path / "out.csv"
    called(paths["number of pairs"], *TWO[2], "--output", table)
    with table.open(encoding="utf-8", newline="") as opened:
        (row,) = csv.DictReader(opened)
    assert list(row) == ["text1", "text2", "value", "truncated"]
    assert (row["text1"], row["text2"], row["truncated"]) == (*TWO[2], "true")
    (again,) = objects(called(paths["number of pairs"], "--input", table))
    assert again["text"] == list(TWO[2])
    assert str(again["value"]) == row["value"] == again["input_value"]


def test_a_column_named_text_makes_room_for_the_pair(paths: dict[str, Path], tmp_path: Path) -> None:
    (tmp_path / "in.jsonl").write_text('{"text": "a", "other": "b"}\n')
    (found,) = objects(called(paths["pair"], "--input", tmp_path / "in.jsonl"))
    assert (found["text"], found["input_text"], found["other"]) == (["a", "b"], "a", "b")


@pytest.mark.parametrize(
    ("model", "columns", "says"),
    [
        ("single", ["a", "b"], "2 columns were named, but the model reads single texts, not pairs"),
        ("pair", ["a"], "One column was named, 'a', but the model reads pairs of texts"),
        (
            "pair",
            ["a", "b", "c"],
            "--column named 'a', 'b', 'c'. A pair of texts is in two different columns",
        ),
        ("pair", ["a", "a"], "--column named 'a', 'a'"),
        ("pair", ["a", "x"], "no column 'x'. It has 'a', 'b', 'c'"),
        ("pair", [], "several columns: 'a', 'b', 'c'. Say which ones hold the two texts with --column FIRST"),
        ("single", [], "Say which one holds the text with --column NAME"),
    ],
)
def test_columns_that_do_not_fit_the_model_are_told(
    paths: dict[str, Path], tmp_path: Path, model: str, columns: list[str], says: str
) -> None:
    (tmp_path / "in.csv").write_text("a,b,c\n1,2,3\n")
    named = [word for name in columns for word in ("--column", name)]
    assert says in refused(paths[model], "--input", tmp_path / "in.csv", *named)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ('{"text": "a"}', "has only 'text' for columns, but the model reads pairs of texts"),
        ('{"text1": "a", "text2": null}', "row 1: 'text2' is null. Expected a text"),
        ('{"text1": "a", "text2": "b"}\n{"text1": "a"}', "row 2: 'text2' is missing"),
    ],
)
def test_rows_without_a_pair_are_told(
    paths: dict[str, Path], tmp_path: Path, content: str, says: str
) -> None:
    (tmp_path / "in.jsonl").write_text(content)
    result = CliRunner().invoke(predict, [str(paths["pair"]), "--input", str(tmp_path / "in.jsonl")])
    assert isinstance(result.exception, DataError)
    assert says in str(result.exception)


def test_the_help_says_how_pairs_are_given() -> None:
    told: Any = CliRunner().invoke(predict, ["--help"]).stdout
    words = " ".join(told.split())
    for said in ("two TEXTs as one pair", "two columns of a file", "a tab between them"):
        assert said in words
