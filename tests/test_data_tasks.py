"""Tasks of other kinds than one class a text: label sets, and numbers to be predicted."""

import csv
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from stepdown import data
from stepdown.data import Dataset, Split, Task, files, hub, labelled_split, lists
from stepdown.data.choose import choose, guess_separator
from stepdown.data.split import cut
from stepdown.data.strata import Strata
from stepdown.errors import DataError
from stepdown.recipe import DataSpec

SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"
DRAW = np.random.default_rng()
WORDS = [f"w{index}" for index in range(3000)]


@pytest.fixture(autouse=True)
def _same_texts_whatever_ran_before() -> None:
    DRAW.bit_generator.state = np.random.default_rng(0).bit_generator.state


def texts(count: int) -> list[str]:
    """Texts of random words, which share no runs."""
    return [" ".join(DRAW.choice(WORDS, 9)) for _ in range(count)]


def write_jsonl(path: Path, rows: Sequence[dict[str, object]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def write_csv(path: Path, header: Sequence[str], columns: Sequence[Sequence[object]]) -> Path:
    """Columns of labels, with a text for each row before them."""
    rows = list(zip(*columns, strict=True))
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows(
            [["text", *header], *([text, *row] for text, row in zip(texts(len(rows)), rows, strict=True))]
        )
    return path


def labels_in(path: Path, labels: Sequence[object]) -> Path:
    return write_jsonl(
        path, [{"text": text, "label": label} for text, label in zip(texts(len(labels)), labels, strict=True)]
    )


def load(source: Path, **spec: Any) -> Dataset:
    named = {"text": ("text",), "label": ("label",)} | spec
    return data.load(DataSpec(source=str(source), **named), seed=0)


def said_of(found: Dataset) -> dict[str, set[str]]:
    """Labels of every text of every split."""
    sets = {}
    for split in (found.train, found.selection, found.report):
        for text, row in zip(split.texts, found.task.truth(split.labels), strict=True):
            sets[text] = {found.task.label_names[at] for at in np.flatnonzero(row)}
    return sets


# --- several labels -----------------------------------------------------------------------------------------------

SETS = [["a"], ["b", "a"], [], ["c"], ["c", "a", "c"]] * 40


def _columns(path: Path, on: object, off: object) -> Path:
    return write_csv(path, "abc", [[on if name in one else off for one in SETS] for name in "abc"])


def test_label_sets_are_the_same_however_they_are_written(tmp_path: Path) -> None:
    (tmp_path / "named").mkdir()
    numbers = [["abc".index(label) for label in one] for one in SETS]
    (tmp_path / "named" / "labels.json").write_text('["a", "b", "c"]')
    switches = [[int(name in one) for name in "abc"] for one in SETS]
    names = ("a", "b", "c")
    found = [
        load(labels_in(tmp_path / "lists.jsonl", SETS)),
        load(labels_in(tmp_path / "named" / "numbers.jsonl", numbers)),
        load(labels_in(tmp_path / "numbers.jsonl", numbers), label_names=names),
        load(labels_in(tmp_path / "switches.jsonl", switches), label_names=names),
        load(write_csv(tmp_path / "json.csv", ["label"], [[json.dumps(one) for one in SETS]])),
        load(write_csv(tmp_path / "python.csv", ["label"], [[str(one) for one in SETS]])),
        load(write_csv(tmp_path / "numpy.csv", ["label"], [[str(one).replace(",", "") for one in SETS]])),
        load(
            write_csv(tmp_path / "parted.csv", ["label"], [["; ".join(one) or "[]" for one in SETS]]),
            label_separator=";",
        ),
        load(_columns(tmp_path / "ones.csv", 1, 0), label=names),
        load(_columns(tmp_path / "floats.csv", 1.0, 0.0), label=names),
        load(_columns(tmp_path / "truths.csv", True, False), label=names),
    ]
    for one in found:
        assert one.task.kind == "multi-label"
        assert one.task.label_names == names
        assert not one.task.is_pair
        assert sorted(map(sorted, said_of(one).values())) == sorted(sorted(set(labels)) for labels in SETS)
        assert one.unlabeled == []
        # An answer for each set that was met, the empty one among them.
        assert sorted(map(tuple, one.task.answers)) == [(0, 0, 0), (0, 0, 1), (1, 0, 0), (1, 0, 1), (1, 1, 0)]


@pytest.mark.parametrize(
    ("cell", "expected"),
    [
        ('["a", "b c"]', ("a", "b c")),
        ("['it\\'s', \"b\"]", ("it's", "b")),
        ("['a' 'b']", ("a", "b")),
        ("['a'\n 'b']", ("a", "b")),
        ("[3, 5]", ("3", "5")),
        ("[ 3  5]", ("3", "5")),
        ("[3. 5.]", ("3", "5")),
        ("[True, false]", ("True", "False")),
        ('["caf\\u00e9"]', ("café",)),
        ("[]", ()),
        ("[a, b]", None),
        ("[3-5]", None),
        ("[[1], [2]]", None),
        ("['a', None]", None),
        ("a, b", None),
        ("['a'", None),
    ],
)
def test_lists_that_are_written_as_text(cell: str, expected: tuple[str, ...] | None) -> None:
    assert lists.parse(cell) == expected


def test_no_label_applies_is_an_answer_and_no_label_is_none(tmp_path: Path) -> None:
    found = load(labels_in(tmp_path / "a.jsonl", [["a"], ["b"], [], None] * 50))
    assert len(found.unlabeled) == 50
    assert sum(split.without for split in found.facts.splits.values()) == 50
    parted = write_csv(tmp_path / "a.csv", ["label"], [["a", "b|a", "", "|"] * 50])
    found = load(parted, label_separator="|")
    assert len(found.unlabeled) == 50
    assert any("where no label applies, write []" in note for note in found.facts.notes)
    assert sum(split.without for split in found.facts.splits.values()) == 50
    empty = write_csv(tmp_path / "b.csv", "xy", [[1, 0, "", -1] * 50, [0, 0, None, -1] * 50])
    with pytest.raises(DataError, match="'y' is 0 in every row of train"):
        load(empty, label=("x", "y"))
    empty = write_csv(tmp_path / "c.csv", "xy", [[1, 0, "", -1] * 50, [0, 1, None, -1] * 50])
    assert len(load(empty, label=("x", "y")).unlabeled) == 100


def test_label_columns_can_be_given_names_and_an_order(tmp_path: Path) -> None:
    path = _columns(tmp_path / "a.csv", 1, 0)
    assert load(path, label=("c", "a", "b")).task.label_names == ("c", "a", "b")
    assert load(path, label=("c", "a", "b"), label_names=("a", "b", "c")).task.label_names == ("a", "b", "c")
    named = load(path, label=("a", "b", "c"), label_names=("one", "two", "three"))
    assert named.task.label_names == ("one", "two", "three")
    assert named.facts.splits["report"].labels["one"] > named.facts.splits["report"].labels["two"]
    with pytest.raises(DataError, match="which label_names does not fit: 'one', 'two'"):
        load(path, label=("a", "b", "c"), label_names=("one", "two"))


def test_a_plain_column_is_multi_label_only_where_the_recipe_says_so(tmp_path: Path) -> None:
    path = labels_in(tmp_path / "a.jsonl", ["x", "y"] * 50)
    assert load(path).task.kind == "single-label"
    found = load(path, task="multi-label")
    assert found.task.kind == "multi-label"
    assert found.task.label_names == ("x", "y")
    assert any("every row of train has exactly one label" in note for note in found.facts.notes)
    # A separator that no cell holds is still the user's word.
    assert load(path, label_separator=";").task.kind == "multi-label"


@pytest.mark.parametrize(
    ("labels", "spec", "expected"),
    [
        ([["a"], ["a"]], {}, "holds only 'a'. Expected at least two labels"),
        ([[], []], {}, "no label that applies to a text"),
        ([["a", "b"]] * 9, {}, "every row of train has the same labels, 'a', 'b'"),
        ([["a"], "b", ["b", "a"]], {}, "row 2: 'label' holds 'b', but most rows hold lists"),
        (
            ["['a']", "['b', 'a']", "['b'", "[]"],
            {},
            "row 3: 'label' holds \"['b'\", but most rows hold lists",
        ),
        ([["a"], ["b", None]], {}, "row 2: 'label' holds a list with an empty label"),
        ([["a"], [["b"]]], {}, "row 2: 'label' holds a list, expected a label"),
        ([["a"], ["b"]], {"task": "single-label"}, 'task is "single-label". Take task out'),
        ([["a"], ["b"]], {"task": "regression"}, 'task is "regression". Take task out'),
        ([["a"], ["b"]], {"label_names": ("a", "c")}, "label_names does not fit"),
        ([["a"], ["b"]], {"label_names": ("a", "b", "c")}, "'c', but no row of train has it"),
        (
            [["a"], ["b"]],
            {"label_separator": ";"},
            "row 1: 'label' holds a list; label_separator is for texts",
        ),
        ([[f"reason {at}"] for at in range(60)], {}, "60 different values in 60 rows"),
    ],
)
def test_label_sets_that_cannot_be_learnt_are_refused(
    labels: list[object], spec: dict[str, Any], expected: str, tmp_path: Path
) -> None:
    with pytest.raises(DataError) as told:
        load(labels_in(tmp_path / "rows.jsonl", labels), **spec)
    assert expected in str(told.value)
    assert "rows.jsonl" in str(told.value)


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        ([1, 0.3], "row 3: the label column 'x' holds '0.3'"),
        ([1, ""], "row 3: the label column 'x' is empty"),
        ([1, "yes"], "row 3: the label column 'x' holds 'yes'"),
    ],
)
def test_what_is_neither_0_nor_1_is_named_with_its_row(
    cells: list[object], expected: str, tmp_path: Path
) -> None:
    path = write_csv(tmp_path / "a.csv", "xy", [cells, [0, 1]])
    with pytest.raises(DataError) as told:
        load(path, label=("x", "y"))
    assert expected in str(told.value)
    assert "expected 1 or 0, true or false" in str(told.value)


def test_a_label_of_a_set_that_train_lacks_is_named_with_its_row(tmp_path: Path) -> None:
    labels_in(tmp_path / "train.jsonl", [["good"], ["bad", "good"]] * 50)
    labels_in(tmp_path / "test.jsonl", [["good"], ["bda", "good"], ["bda"]])
    with pytest.raises(
        DataError, match=r"test\.jsonl: the label 'bda' \(2 rows, the first is row 2\)"
    ) as told:
        load(tmp_path)
    assert "Did you mean 'bad'?" in str(told.value)


def test_names_of_the_hub_for_lists_of_class_labels(tmp_path: Path) -> None:
    import datasets

    features = datasets.Features(
        {
            "text": datasets.Value("string"),
            "label": datasets.Sequence(datasets.ClassLabel(names=["no", "yes"])),
        }
    )
    rows = datasets.Dataset.from_dict({"text": texts(100), "label": [[0], [1, 0]] * 50}, features=features)
    table = hub.tables_of(datasets.DatasetDict({"train": rows}), "owner/name")["train"]
    assert table.label_names == {"label": ("no", "yes")}
    pq.write_table(rows.data.table, tmp_path / "a.parquet")
    assert load(tmp_path / "a.parquet").task.label_names == ("no", "yes")


@pytest.mark.parametrize(
    ("labels", "names", "expected"),
    [
        ([1, 0] * 50, ["good", "bad"] * 50, ("bad", "good")),
        ([1, 0] * 50, ["good", "bad"] * 49 + ["bad", "bad"], ("0", "1")),  # 1 has two names
        ([1, 0] * 50, ["good", "good"] * 50, ("0", "1")),
        ([2, 1] * 50, ["good", "bad"] * 50, ("1", "2")),  # not 0 and 1, so their order is anyone's guess
    ],
)
def test_names_in_a_column_beside_the_labels(
    labels: list[int], names: list[str], expected: tuple[str, ...], tmp_path: Path
) -> None:
    found = load(write_csv(tmp_path / "a.csv", ["label", "label_text"], [labels, names]))
    assert found.task.label_names == expected


def test_facts_of_label_sets(tmp_path: Path) -> None:
    found = load(labels_in(tmp_path / "a.jsonl", SETS))
    report = found.facts.splits["report"]
    assert report.labels["a"] == sum("a" in labels for labels in said_of(found).values()) // 10
    assert json.loads(json.dumps(found.facts.as_dict()))["splits"]["report"]["without"] == report.without == 4
    assert "multi-label, 3 labels" in found.facts.as_text()
    assert "none applies to 4 (" in found.facts.as_text()
    text = texts(1) * 2
    write_jsonl(tmp_path / "b.jsonl", [
        *({"text": text, "label": one} for text, one in zip(texts(100), SETS[:2] * 50, strict=True)),
        {"text": text[0], "label": ["a", "b"]}, {"text": text[0], "label": []},
    ])  # fmt: skip
    write_jsonl(tmp_path / "test.jsonl", [{"text": one, "label": ["a"]} for one in texts(9)])
    spec = DataSpec(
        train=str(tmp_path / "b.jsonl"), test=str(tmp_path / "test.jsonl"), text=("text",), label=("label",)
    )
    said = {tuple(sorted(labels)) for _, labels in data.load(spec, 0).facts.conflicts.examples}
    assert said <= {("a + b", "without a label")}


# --- numbers ------------------------------------------------------------------------------------------------------


def test_many_fractions_are_a_quantity_and_it_is_said(tmp_path: Path) -> None:
    numbers = [round(0.1 * at, 1) for at in range(100)]
    found = load(labels_in(tmp_path / "a.jsonl", numbers))
    assert found.task.kind == "regression"
    assert found.task.label_names == ("label",)
    assert found.task.answers.shape == (100, 1)
    assert any('task = "regression"' in note for note in found.facts.notes)
    # The data's own unit, and every number where it was.
    texts_of = {
        json.loads(line)["text"]: json.loads(line)["label"]
        for line in (tmp_path / "a.jsonl").read_text().splitlines()
    }
    for split in (found.train, found.selection, found.report):
        expected = [texts_of[text] for text in split.texts]
        assert found.task.truth(split.labels)[:, 0].tolist() == pytest.approx(expected)
    as_classes = {"task": "single-label"}, {"label_names": tuple(map(str, numbers))}
    for spec in as_classes:
        with pytest.raises(DataError, match="100 different values in 100 rows"):
            load(tmp_path / "a.jsonl", **spec)


@pytest.mark.parametrize(
    ("values", "names"),
    [
        (["0.1234567", "0.1234568"], ("0.1234567", "0.1234568")),
        (["9007199254740992", "9007199254740993"], ("9007199254740992", "9007199254740993")),
        (["1.0", "2"], ("1", "2")),
        ([float(np.float32(1.1)), 2.5], ("1.1", "2.5")),
    ],
)
def test_numbers_that_are_classes_are_told_apart(
    tmp_path: Path, values: list[str | float], names: tuple[str, ...]
) -> None:
    found = load(labels_in(tmp_path / "a.jsonl", values * 30), task="single-label")
    assert found.task.label_names == names


def test_any_numbers_are_a_quantity_where_the_recipe_says_so(tmp_path: Path) -> None:
    path = labels_in(tmp_path / "a.jsonl", [1, "2", 3.0, " 4.5e0 ", "+.5", None] * 20)
    found = load(path, task="regression")
    assert found.task.answers[:, 0].tolist() == [0.5, 1, 2, 3, 4.5]
    assert len(found.unlabeled) == 20
    whole = labels_in(tmp_path / "b.jsonl", [1, 2, 3, 4, 5] * 20)
    assert load(whole).task.kind == "single-label"
    assert load(whole, task="regression").task.kind == "regression"


@pytest.mark.parametrize(
    ("odd", "expected"),
    [
        ("high", "row 31: 'label' holds 'high', expected a number"),
        ("inf", "row 31: 'label' holds 'inf', expected a finite number"),
        (float("-inf"), "row 31: 'label' holds '-inf', expected a finite number"),
        ("1e39", "row 31: 'label' holds '1e39', expected a finite number"),
        ("1_000", "row 31: 'label' holds '1_000', expected a number"),
        ("3,5", "Decimals are written with a point"),
        (True, "row 31: 'label' holds 'True', expected a number"),
    ],
)
def test_what_is_no_number_is_named_with_its_row(odd: object, expected: str, tmp_path: Path) -> None:
    path = labels_in(tmp_path / "rows.jsonl", [*(0.1 * at for at in range(30)), odd])
    for spec in ({}, {"task": "regression"}):
        with pytest.raises(DataError) as told:
            load(path, **spec)
        assert expected in str(told.value)
        assert str(path) in str(told.value)


def test_one_number_in_every_row_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"the same number in every row of train, 2\.5"):
        load(labels_in(tmp_path / "a.jsonl", [2.5, "2.50", 2.5] * 9), task="regression")


def test_numbers_that_only_another_split_has_are_answers_too(tmp_path: Path) -> None:
    labels_in(tmp_path / "train.jsonl", [0.1 * at for at in range(60)])
    labels_in(tmp_path / "test.jsonl", [9.25, -1, 0.1])
    found = load(tmp_path)
    assert found.task.truth(found.report.labels)[:, 0].tolist() == pytest.approx([9.25, -1, 0.1])
    # A whole split of −1 is how the hub marks one without labels.
    labels_in(tmp_path / "test.jsonl", [-1.0] * 5)
    found = load(tmp_path)
    assert len(found.report) == 6
    assert any("No row of test has a label" in note for note in found.facts.notes)


def test_facts_of_numbers(tmp_path: Path) -> None:
    labels_in(tmp_path / "train.jsonl", [0.1 * at for at in range(60)])
    labels_in(tmp_path / "validation.jsonl", [0.5, 1.0])
    labels_in(tmp_path / "test.jsonl", [1, 2, 6])
    found = load(tmp_path, task="regression")
    facts = json.loads(json.dumps(found.facts.as_dict()))["splits"]["report"]
    assert facts["labels"] == {}
    assert facts["values"] == pytest.approx(
        {"mean": 3, "sd": (14 / 3) ** 0.5, "least": 1, "median": 2, "largest": 6}
    )
    assert "mean 3 (sd 2.16), 1 to 6, median 2" in found.facts.as_text()


# --- cuts ---------------------------------------------------------------------------------------------------------


def multi_label(rows: Sequence[Sequence[int]], outputs: int) -> tuple[Task, Split]:
    truth = np.zeros((len(rows), outputs), np.float32)
    for at, row in enumerate(rows):
        truth[at, list(row)] = 1
    answers, labels = np.unique(truth, axis=0, return_inverse=True)
    task = Task("multi-label", tuple(map(str, range(outputs))), answers)
    return task, Split(texts(len(rows)), labels.reshape(-1).astype(np.int64))


def test_cuts_keep_the_share_of_every_label_and_the_last_row_of_none() -> None:
    draw = np.random.default_rng(1)
    shares = np.array([0.5, 0.3, 0.1, 0.03, 0.01])
    rows = [np.flatnonzero(draw.random(5) < shares).tolist() for _ in range(2000)]
    rows += [[5, 0], [6], [6, 1], [7, 0], [7, 1], [7, 0, 1]]
    task, train = multi_label(rows, 8)
    made = cut(
        train, None, None,
        strata=Strata.of(task, train.labels), selection_fraction=0.1, report_fraction=0.1, seed=0,
    )  # fmt: skip
    counts = task.truth(train.labels).sum(axis=0)
    for part in (made.report, made.selection):
        held = task.truth(part.split.labels).sum(axis=0)
        assert abs(held[:5] - counts[:5] * 0.1).max() <= 2
        assert held[5:7].tolist() == [0, 0], "of one or two rows none is taken"
        empty = (task.truth(part.split.labels).sum(axis=1) == 0).sum()
        assert abs(empty - (task.truth(train.labels).sum(axis=1) == 0).sum() * 0.1) <= 1
        assert abs(len(part) - 200) < 10
    assert (task.truth(made.train.split.labels).sum(axis=0) > 0).all()
    assert task.truth(made.report.split.labels)[:, 7].sum() == 1, "of three rows one is"


def test_cuts_of_numbers_are_alike() -> None:
    values = np.exp(np.random.default_rng(0).normal(0, 1, 1000)).astype(np.float32)
    answers, labels = np.unique(values, return_inverse=True)
    task = Task("regression", ("price",), answers[:, None])
    train = Split(texts(1000), labels.astype(np.int64))
    strata = Strata.of(task, train.labels)
    assert strata.counts(train.labels).tolist() == [100] * 10
    made = cut(train, None, None, strata=strata, selection_fraction=0.1, report_fraction=0.1, seed=0)
    for part in (made.report, made.selection):
        assert strata.counts(part.split.labels).tolist() == [10] * 10
    assert "range of numbers" in made.story.origins["report"]
    few = Split(train.texts[:2], train.labels[:2])
    with pytest.raises(DataError, match="too few of each range of numbers to cut"):
        cut(
            few,
            None,
            None,
            strata=Strata.of(task, few.labels),
            selection_fraction=0.1,
            report_fraction=0.1,
            seed=0,
        )


def test_an_answer_in_words() -> None:
    task, _ = multi_label([[0, 2], []], 3)
    assert [task.said(at) for at in range(2)] == ["without a label", "0 + 2"]
    assert Task.of_classes(("x", "y")).said(1) == "y"
    assert Task("regression", ("n",), np.array([[2.5]], np.float32)).said(0) == "2.5"


# --- columns ------------------------------------------------------------------------------------------------------


def test_three_columns_of_0_and_1_are_labels_where_nothing_else_is(tmp_path: Path) -> None:
    header = ["id", "toxic", "rude", "threat"]
    path = write_csv(tmp_path / "a.csv", header, [range(20), [0, 1] * 10, [1.0, 0] * 10, [0] * 20])
    columns = choose(files.open_file(path))
    assert columns.label == ("toxic", "rude", "threat")
    assert columns.guessed == ("text", "toxic", "rude", "threat")
    two = write_csv(tmp_path / "b.csv", ["toxic", "rude"], [[0, 1] * 10, [1, 0] * 10])
    with pytest.raises(DataError, match="cannot tell which column holds the label"):
        choose(files.open_file(two))


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        (["a;b", "a", "b", "c;a", "c"], ";"),
        (["a | b", "a", "b", "c | a", "c"], "|"),
        (["a", "b", "c", "a", "c"], None),
        (["a;b", "c", "d", "c", "d"], None),  # a and b stand nowhere else: one label with a mark in it
        (["a,b", "a", "b", "c,a", "c"], None),
        (["a;", "a", "b", "b;a", "b"], None),
    ],
)
def test_a_separator_is_guessed_if_it_is_unmistakable(
    cells: list[str], expected: str | None, tmp_path: Path
) -> None:
    path = write_csv(tmp_path / "a.csv", ["label"], [cells * 5])
    assert guess_separator(files.open_file(path), "label") == expected
    once = write_csv(tmp_path / "b.csv", ["label"], [[f"see {at}; then go" for at in range(25)]])
    assert guess_separator(files.open_file(once), "label") is None


# --- a split to measure on ----------------------------------------------------------------------------------------


def test_a_split_to_measure_a_multi_label_model_on(tmp_path: Path) -> None:
    names = ("b", "a", "c")
    asked = {"kind": "multi-label"}
    expected = [[0, 1, 0], [1, 1, 0], [0, 0, 0]]
    cells = [["a"], ["b", "a"], []]
    numbers = [[1], [0, 1], []]
    for path in (
        labels_in(tmp_path / "a.jsonl", [*cells, None]),
        labels_in(tmp_path / "n.jsonl", [*numbers, None]),
        write_csv(tmp_path / "c.csv", names, [[0, 1, 0], [1, 1, 0], [0, 0, 0]]),
    ):
        name, split, task = labelled_split(str(path), names, **asked)
        assert (name, task.kind, task.label_names) == ("train", "multi-label", names)
        assert task.truth(split.labels).tolist() == expected
    parted = write_csv(tmp_path / "p.csv", ["label"], [["a;b", "a", "b", "c", "c;a"] * 5])
    _, split, task = labelled_split(str(parted), names, **asked)
    assert task.truth(split.labels)[:2].tolist() == [[1, 1, 0], [0, 1, 0]]
    odd = labels_in(tmp_path / "o.jsonl", [["a"], ["a", "d"]])
    with pytest.raises(DataError, match=r"row 2: the label 'd' is none of the model's: 'b', 'a', 'c'"):
        labelled_split(str(odd), names, **asked)
    with pytest.raises(DataError, match="several labels a text, but the model's task is single-label"):
        labelled_split(str(tmp_path / "a.jsonl"), names)
    plain = labels_in(tmp_path / "s.jsonl", ["a", "b"])
    assert labelled_split(str(plain), names, **asked)[2].answers.tolist() == [[0, 1, 0], [1, 0, 0]]


def test_a_split_to_measure_a_regression_on(tmp_path: Path) -> None:
    path = labels_in(tmp_path / "a.jsonl", [3.5, 2, None, 3.5])
    _, split, task = labelled_split(str(path), ("score",), kind="regression")
    assert (task.kind, task.label_names) == ("regression", ("score",))
    assert task.truth(split.labels)[:, 0].tolist() == [3.5, 2, 3.5]
    with pytest.raises(DataError, match="row 2: 'label' holds 'good', expected a number"):
        labelled_split(str(labels_in(tmp_path / "b.jsonl", [1, "good"])), ("score",), kind="regression")
    with pytest.raises(DataError, match="no row has a label"):
        labelled_split(str(labels_in(tmp_path / "c.jsonl", [-1.0, -1])), ("score",), kind="regression")


# --- real data ----------------------------------------------------------------------------------------------------


@pytest.mark.skipif(not (SHARED / "goemotions").is_dir(), reason="GoEmotions is not on this machine")
def test_goemotions(tmp_path: Path) -> None:
    table = pq.read_table(SHARED / "goemotions" / "train.parquet").slice(0, 4000)
    pq.write_table(table, tmp_path / "train.parquet")
    (tmp_path / "labels.json").write_text((SHARED / "goemotions" / "labels.json").read_text())
    found = load(tmp_path, label=("labels",))
    assert found.task.kind == "multi-label"
    assert len(found.task.label_names) == 28
    assert found.task.label_names[:2] == ("admiration", "amusement")
    numbers = dict(zip(table["text"].to_pylist(), table["labels"].to_pylist(), strict=True))
    for text, labels in list(said_of(found).items())[:500]:
        if text in numbers:
            assert labels == {found.task.label_names[at] for at in numbers[text]}
    whole = np.array(list(found.facts.splits["train"].labels.values())) / len(found.train)
    held = np.array(list(found.facts.splits["report"].labels.values())) / len(found.report)
    assert abs(whole - held).max() < 0.01


def test_a_parquet_column_of_lists_is_read(tmp_path: Path) -> None:
    pq.write_table(pa.table({"text": texts(len(SETS)), "label": SETS}), tmp_path / "a.parquet")
    assert load(tmp_path / "a.parquet").task.label_names == ("a", "b", "c")
