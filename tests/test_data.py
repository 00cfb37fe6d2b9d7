"""Reading and understanding the user's files: what is accepted, and what each bad file is told."""

import csv
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from stepdown import data
from stepdown.data import Dataset, files, hub, labelled_split, read
from stepdown.data.choose import Columns, choose
from stepdown.data.columns import LONGEST, Values
from stepdown.data.columns import rows as read_rows
from stepdown.data.infer import Inferred, infer
from stepdown.errors import DataError, HubError, StoreError
from stepdown.recipe import DataSpec

DRAW = np.random.default_rng(0)
WORDS = [f"w{index}" for index in range(3000)]


def texts(count: int) -> list[str]:
    """Texts of random words, which share no runs."""
    return [" ".join(DRAW.choice(WORDS, 9)) for _ in range(count)]


def load(source: Path | str | None, **spec: Any) -> Dataset:
    named = {"text": ("text",), "label": ("label",)} | spec
    return data.load(DataSpec(source=None if source is None else str(source), **named), seed=0)


def write_csv(
    path: Path, rows: Sequence[Sequence[object]], header: Sequence[str] = ("text", "label")
) -> Path:
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([header, *rows])
    return path


def write_jsonl(path: Path, rows: Sequence[dict[str, object]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def labelled(labels: Sequence[object]) -> list[tuple[str, object]]:
    return list(zip(texts(len(labels)), labels, strict=True))


def infer_from(labels: Sequence[object], tmp_path: Path, **names: Any) -> Inferred:
    path = write_jsonl(tmp_path / "rows.jsonl", [{"text": "a b", "label": label} for label in labels])
    values = Values()
    columns = Columns(("text",), ("label",))
    rows = {"train": read_rows(files.open_file(path), columns, values)}
    return infer(rows, values, columns=columns, **names)


def cells(path: Path, *columns: str) -> list[tuple[Any, ...]]:
    return [
        row for block in files.open_file(path).blocks(*columns) for row in zip(*block.columns, strict=True)
    ]


# --- files --------------------------------------------------------------------------------------------------------


def _parquet(path: Path) -> None:
    pq.write_table(pa.table({"id": [1, 2], "text": ["a, b", 'say "c"'], "label": ["x", "y"]}), path)


FORMATS: dict[str, Callable[[Path], object]] = {
    "a.csv": lambda path: path.write_text('id,text,label\n1,"a, b",x\n\n2,"say ""c""",y\n'),
    "semicolons.csv": lambda path: path.write_text('id;text;label\n1;a, b;x\n2;"say ""c""";y\n'),
    "tabs.csv": lambda path: path.write_text('id\ttext\tlabel\n1\ta, b\tx\n2\t"say ""c"""\ty\n'),
    "mark.csv": lambda path: path.write_text('\ufeffid,text,label\r\n1,"a, b",x\r\n2,"say ""c""",y\r\n'),
    "a.tsv": lambda path: path.write_text('id\ttext\tlabel\n1\ta, b\tx\n2\tsay "c"\ty\n'),
    "quoted.tsv": lambda path: path.write_text('id\ttext\tlabel\n1\t"a, b"\tx\n2\t"say ""c"""\ty\n'),
    "a.jsonl": lambda path: path.write_text(
        '{"id": 1, "text": "a, b", "label": "x"}\n\n{"text": "say \\"c\\"", "label": "y"}\n'
    ),
    "a.ndjson": lambda path: path.write_text(
        '{"text":"a, b","label":"x"}\n{"text":"say \\"c\\"","label":"y"}'
    ),
    "a.parquet": _parquet,
}


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_gives_the_same_rows(name: str, tmp_path: Path) -> None:
    FORMATS[name](tmp_path / name)
    assert cells(tmp_path / name, "label", "text") == [("x", "a, b"), ("y", 'say "c"')]


def test_what_parts_the_cells_is_said_where_it_is_no_comma(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("text;label\n" + "".join(f"{text};{at % 2}\n" for at, text in enumerate(texts(100))))
    assert any("its cells are parted by semicolons" in note for note in load(path).facts.notes)


def test_rows_are_numbered_as_people_count(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text('text,label\n"two\nlines",x\n\nlast,y\n')
    assert [list(block.rows) for block in files.open_file(path).blocks("text")] == [[2, 4]]


def test_plain_lines_are_texts(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("one\n\ntwo, three\n")
    assert cells(tmp_path / "a.txt", "text") == [("one",), ("two, three",)]


def test_only_needed_columns_are_read(tmp_path: Path) -> None:
    table = pa.table({"text": ["a"], "odd": pa.array([[1, 2]]), "label": ["x"]})
    pq.write_table(table, tmp_path / "a.parquet")
    block = next(files.open_file(tmp_path / "a.parquet").blocks("text"))
    assert block.columns == (["a"],)


def test_a_file_is_read_in_blocks(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "a.csv", [("some text", "x")] * 20_000)
    sizes = [len(block.rows) for block in files.open_file(path).blocks("text")]
    assert sizes == [8192, 8192, 20_000 - 2 * 8192]


# --- what bad files are told --------------------------------------------------------------------------------------

LATIN = "text,label\ngood,x\ncafé,y\n".encode("latin-1")

BAD_FILES: dict[str, tuple[str, bytes | None, list[str]]] = {
    "missing": ("revews.csv", None, ["no such file", "Did you mean reviews.csv?"]),
    "empty": ("a.csv", b"", ["the file is empty"]),
    "blank": ("a.csv", b"\n \n", ["blank lines only"]),
    "header only": ("a.csv", b"text,label\n", ["no rows with a text", "'text', 'label'"]),
    "latin": ("a.csv", LATIN, ["not UTF-8", "line 3", "0xe9", "byte 22 ", "iconv -f latin1"]),
    "latin in lines": ("a.jsonl", LATIN, ["not UTF-8", "line 3"]),
    "utf-16": ("a.csv", "text,label\n".encode("utf-16"), ["UTF-16", "expected UTF-8"]),
    "missing column": (
        "a.csv",
        b"Text,lable\na,b\n",
        ["no column 'text'", "'Text', 'lable'", "Did you mean 'Text'?"],
    ),
    "double column": ("a.csv", b"text,label,text\na,b,c\n", ["two columns are named 'text'"]),
    "ragged": ("a.csv", b"text,label\nfine,x\na, b,y\n", ["row 3", "3 cells, the header has 2", "quotes"]),
    "ragged tsv": ("a.tsv", b"text\tlabel\nalone\n", ["row 2", "1 cell, the header has 2"]),
    "open quote": ("a.csv", b'text,label\nfine,x\n"never closed,y\n', ["row 3", "never closed"]),
    "quote within": ("a.csv", b'text,label\n"so "called" art",x\n', ["row 2", "must be doubled"]),
    "bad json": ("a.jsonl", b'{"text": "a", "label": "x"}\n{"text": \n', ["row 2", "not JSON"]),
    "no object": ("a.jsonl", b'{"text": "a", "label": "x"}\n[1]\n', ["row 2", "no JSON object"]),
    "json array": ("a.json", b'[{"text": "a"}]', ["one JSON array", "jq"]),
    "json array in lines": ("a.json", b'[\n{"text": "a"}]', ["one JSON array", "jq"]),
    "no parquet": ("a.parquet", b"PAR1 and then nothing", ["not a Parquet file"]),
    "unknown suffix": ("a.xml", b"<a/>", ["'.xml'", "expected .csv"]),
    "compressed": ("a.csv.gz", b"\x1f\x8b", ["compressed", "Unpack it"]),
    "spreadsheet": ("a.xlsx", b"PK", ["spreadsheets are not read", "CSV"]),
    "blank text": (
        "a.csv",
        b"text,label\nfine,x\n  ,y\ngood,x\n,y\n",
        ["2 rows have a label but no text", "rows 3, 5"],
    ),
    "null text": ("a.jsonl", b'{"text": null, "label": "x"}\n', ["row 1 has a label but no text"]),
    "nan text": ("a.jsonl", b'{"text": NaN, "label": "x"}\n', ["row 1 has a label but no text"]),
    "list of texts": (
        "a.jsonl",
        b'{"text": ["a"], "label": "x"}\n',
        ["row 1", "holds a list", "expected a text"],
    ),
    "table of labels": (
        "a.jsonl",
        b'{"text": "a", "label": {"x": 1}}\n',
        ["row 1", "holds a table, expected a label"],
    ),
}


@pytest.mark.parametrize("fault", BAD_FILES)
def test_a_bad_file_is_told_in_one_line(fault: str, tmp_path: Path) -> None:
    name, content, expected = BAD_FILES[fault]
    write_csv(tmp_path / "reviews.csv", [])
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError) as told:
        load(tmp_path / name)
    assert name in str(told.value)
    assert "\n" not in str(told.value)
    for part in expected:
        assert part in str(told.value)


def test_a_damaged_parquet_file_is_told(tmp_path: Path) -> None:
    pq.write_table(pa.table({"text": texts(2000), "label": ["x"] * 2000}), tmp_path / "a.parquet")
    whole = bytearray((tmp_path / "a.parquet").read_bytes())
    whole[4:4000] = bytes(3996)
    (tmp_path / "a.parquet").write_bytes(whole)
    with pytest.raises(DataError, match="damaged Parquet file"):
        load(tmp_path / "a.parquet")


def test_a_file_without_permission_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_csv(tmp_path / "a.csv", labelled(["x"]))

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)  # the tests may run as root, to whom everything is permitted
    with pytest.raises(DataError, match=r"a\.csv: no permission to read it"):
        load(path)


# --- texts --------------------------------------------------------------------------------------------------------


def rows_of(path: Path) -> tuple[Any, Values]:
    values = Values()
    return read_rows(files.open_file(path), Columns(("text",), ("label",)), values), values


def test_a_text_of_5_megabytes_is_accepted_and_cut(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "a.csv", [("word " * 1_000_000, "x"), ("short", "y")])
    rows, _ = rows_of(path)
    assert [len(text) for text in rows.texts] == [LONGEST, 5]
    assert rows.shortened == 1


def test_rows_with_neither_text_nor_label_are_passed_over(tmp_path: Path) -> None:
    rows, _ = rows_of(write_csv(tmp_path / "a.csv", [("a", "x"), ("", ""), (" ", "nan"), ("b", "y")]))
    assert rows.texts == ["a", "b"]
    assert rows.blank == 2


def test_numbers_are_texts_too(tmp_path: Path) -> None:
    rows, _ = rows_of(write_jsonl(tmp_path / "a.jsonl", [{"text": 1984, "label": "x"}]))
    assert rows.texts == ["1984"]


def test_what_utf8_cannot_hold_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"text": "half \\ud83d", "label": "x"}\n')
    rows, _ = rows_of(tmp_path / "a.jsonl")
    assert rows.texts == ["half ?"]


def test_labels_without_a_value_are_told_from_labels(tmp_path: Path) -> None:
    labels = ["none", "", None, float("nan"), "NaN", "null", " x ", True, 2, 2.0, "2"]
    rows, values = rows_of(
        write_jsonl(tmp_path / "a.jsonl", [{"text": "a", "label": label} for label in labels])
    )
    assert list(values.numbers) == ["none", "x", "True", "2"]
    assert rows.values.tolist() == [0, -1, -1, -1, -1, -1, 1, 2, 3, 3, 3]
    assert rows.unlabeled == (str(tmp_path / "a.jsonl"), 2)


# --- columns ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("header", "row", "expected"),
    [
        ("id,sentence,category", "1,a good one,x", ("sentence", "category")),
        ("Review Text,Sentiment", "a good one,x", ("Review Text", "Sentiment")),
        ("label,text,label_text", "1,a good one,x", ("text", "label")),
        ("title,content,intent", "a,a good one,x", ("content", "intent")),
        ("verbatim,target", "a good one,x", ("verbatim", "target")),
        ("when,verbatim,verdict,id", "{i},the {i} was good in its way,{half},{i}", ("verbatim", "verdict")),
        ("text,fine_label,coarse-label,n", "a good one,{third},{half},{half}", ("text", "coarse-label")),
        (
            "id,Sentence A,Sentence B,label",
            "{i},a good one,a bad one,x",
            ("Sentence A", "Sentence B", "label"),
        ),
        ("x1,x2,text,label", "{i},{i},a good one,x", ("text", "label")),
        ("question,sentence,label", "was it good?,it was good,x", ("question", "sentence", "label")),
    ],
)
def test_columns_are_told_by_names_then_by_rows(
    header: str, row: str, expected: tuple[str, ...], tmp_path: Path
) -> None:
    lines = [row.format(i=index, half=index % 2, third=index % 3) for index in range(20)]
    (tmp_path / "a.csv").write_text("\n".join([header, *lines]))
    columns = choose(files.open_file(tmp_path / "a.csv"))
    assert (*columns.text, *columns.label) == expected
    assert columns.guessed == expected


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("a,b,label", "cannot tell which column holds the text. Its columns are: 'a', 'b', 'label'"),
        ("text,a,b", "cannot tell which column holds the label"),
        ("it was a very good film,1", "the file has no header"),
    ],
)
def test_columns_that_cannot_be_told_are_refused(header: str, expected: str, tmp_path: Path) -> None:
    row = ",".join(["word"] * (header.count(",") + 1))
    (tmp_path / "a.csv").write_text(f"{header}\n{row}\n{row}\n")
    with pytest.raises(DataError, match="cannot tell") as told:
        choose(files.open_file(tmp_path / "a.csv"))
    assert expected in str(told.value)


def test_more_than_two_text_columns_are_refused(tmp_path: Path) -> None:
    table = files.open_file(write_csv(tmp_path / "a.csv", [], header=("a", "b", "c", "d")))
    with pytest.raises(DataError, match="text names 'a', 'b', 'c': expected one column, or two"):
        choose(table, ("a", "b", "c"), ("d",))


# --- labels -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("labels", "names", "expected"),
    [
        (["b", "a", "b"], ("a", "b"), [1, 0, 1]),
        ([10, 9, 10], ("9", "10"), [1, 0, 1]),
        (["10", "9"], ("9", "10"), [1, 0]),
        ([1.0, 3.0, None], ("1", "3"), [0, 1, -1]),
        (["1.0", "2"], ("1", "2"), [0, 1]),
        ([True, False], ("False", "True"), [1, 0]),
        (["007", "07"], ("007", "07"), [0, 1]),
        ([0.5, 1.0, 0.5], ("0.5", "1"), [0, 1, 0]),
        ([-1, 1], ("-1", "1"), [0, 1]),
        ([-1, 0, 1], ("0", "1"), [-1, 0, 1]),
        ([-1, "x", "y"], ("-1", "x", "y"), [0, 1, 2]),
    ],
)
def test_labels_get_names_and_an_order(
    labels: list[object], names: tuple[str, ...], expected: list[int], tmp_path: Path
) -> None:
    inferred = infer_from(labels, tmp_path)
    assert inferred.task.label_names == names
    assert inferred.labels["train"].tolist() == expected


@pytest.mark.parametrize(
    ("labels", "given", "names", "expected"),
    [
        (["b", "a"], ("b", "a"), ("b", "a"), [0, 1]),
        ([1, 0], ("no", "yes"), ("no", "yes"), [1, 0]),
        ([3, 1, 2], ("bad", "fair", "good"), ("bad", "fair", "good"), [2, 0, 1]),
        ([-1, 0, 1], ("bad", "fair", "good"), ("bad", "fair", "good"), [0, 1, 2]),
        ([-1, 0, 1], ("no", "yes"), ("no", "yes"), [-1, 0, 1]),
    ],
)
def test_given_names_win(
    labels: list[object], given: tuple[str, ...], names: tuple[str, ...], expected: list[int], tmp_path: Path
) -> None:
    inferred = infer_from(labels, tmp_path, label_names=given)
    assert inferred.task.label_names == names
    assert inferred.labels["train"].tolist() == expected


def test_known_names_are_used_if_they_fit(tmp_path: Path) -> None:
    named = infer_from([2, 0], tmp_path, known_names=("no", "maybe", "yes"))
    assert named.task.label_names == ("no", "yes")
    assert named.labels["train"].tolist() == [1, 0]
    plain = infer_from([7, 5], tmp_path, known_names=("no", "maybe", "yes"))
    assert plain.task.label_names == ("5", "7")
    assert any("do not fit" in note for note in plain.notes)


def test_minus_one_as_no_label_is_said(tmp_path: Path) -> None:
    assert any("−1 counts as no label" in note for note in infer_from([-1, 0, 1], tmp_path).notes)


@pytest.mark.parametrize(
    ("labels", "names", "expected"),
    [
        (["x", "x"], {}, "a single class, 'x'"),
        ([None, float("nan"), ""], {}, "no label at all"),
        ([f"reason number {index}" for index in range(60)], {}, "60 different values in 60 rows"),
        (["a", "b"], {"label_names": ("a", "c")}, "which label_names does not fit: 'a', 'c'"),
        (["a", "b"], {"label_names": ("a", "b", "c")}, "'c', but no row of train has it"),
        ([0, 1, 5], {"label_names": ("no", "yes")}, "does not fit"),
    ],
)
def test_labels_that_are_no_classes_are_refused(
    labels: list[object], names: dict[str, Any], expected: str, tmp_path: Path
) -> None:
    with pytest.raises(DataError) as told:
        infer_from(labels, tmp_path, **names)
    assert expected in str(told.value)
    assert str(tmp_path / "rows.jsonl") in str(told.value)


def test_a_label_that_train_lacks_is_named_with_its_row(tmp_path: Path) -> None:
    write_csv(tmp_path / "train.csv", labelled(["good", "bad"] * 5))
    write_csv(tmp_path / "test.csv", labelled(["good", "bda", "bda"]))
    with pytest.raises(
        DataError, match=r"test\.csv: the label 'bda' \(2 rows, the first is row 3\).*'bad', 'good'"
    ) as told:
        load(tmp_path)
    assert "Did you mean 'bad'?" in str(told.value)


# --- sources ------------------------------------------------------------------------------------------------------


def test_a_folder_of_splits(tmp_path: Path) -> None:
    for name, count in [
        ("train-00000-of-00002", 60),
        ("train-00001-of-00002", 40),
        ("dev", 12),
        ("test", 14),
    ]:
        table = pa.table({"text": texts(count), "label": ["x", "y"] * (count // 2)})
        pq.write_table(table, tmp_path / f"{name}.parquet")
    (tmp_path / "README.md").write_text("about")
    write_csv(tmp_path / "extra.csv", [])
    found = load(tmp_path)
    assert (len(found.train), len(found.selection), len(found.report)) == (100, 12, 14)
    assert found.facts.splits["selection"].origin == "the validation split that came with the data."
    assert any("extra.csv was left aside" in note for note in found.facts.notes)


def test_a_folder_as_on_the_hub_and_a_folder_of_one_file(tmp_path: Path) -> None:
    (tmp_path / "hub" / "data").mkdir(parents=True)
    write_csv(tmp_path / "hub" / "data" / "train.csv", labelled("xy" * 50))
    (tmp_path / "one").mkdir()
    write_csv(tmp_path / "one" / "reviews.csv", labelled("xy" * 50))
    for folder in ("hub", "one"):
        assert list(read.find(str(tmp_path / folder)).tables) == ["train"]


def test_separate_files(tmp_path: Path) -> None:
    train = write_csv(tmp_path / "learn.csv", labelled("xy" * 50))
    test = write_jsonl(tmp_path / "exam.jsonl", [{"text": text, "label": "x"} for text in texts(8)])
    found = load(None, train=str(train), test=str(test))
    assert len(found.report) == 8
    assert "test split that came with the data" in found.facts.splits["report"].origin


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        ([], "no data files"),
        (["a.csv", "b.csv"], "cannot tell its files apart: 'a.csv', 'b.csv'"),
        (["test.csv"], "none to train on"),
        (["train.csv", "train.jsonl"], "train is there as .csv and as .jsonl"),
    ],
)
def test_folders_that_are_refused(names: list[str], expected: str, tmp_path: Path) -> None:
    for name in names:
        (tmp_path / name).write_text('{"text": 1, "label": 2}\n' if name.endswith("l") else "text,label\n")
    with pytest.raises(DataError) as told:
        read.find(str(tmp_path))
    assert expected in str(told.value)


@pytest.mark.parametrize("said", ['["no", "yes"]', '{"0": "no", "1": "yes"}', '{"yes": 1, "no": 0}'])
def test_label_names_beside_the_file(said: str, tmp_path: Path) -> None:
    path = write_csv(tmp_path / "a.csv", labelled([0, 1] * 50))
    (tmp_path / "labels.json").write_text(said)
    assert load(path).task.label_names == ("no", "yes")
    name, split, _ = labelled_split(str(path), ("yes", "no"))
    assert name == "train"
    assert split.labels.tolist() == [1, 0] * 50


def test_a_labels_file_of_another_kind_is_left_aside(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "a.csv", labelled([0, 1] * 50))
    (tmp_path / "labels.json").write_text('{"a": ["b"]}')
    found = load(path)
    assert found.task.label_names == ("0", "1")
    assert any("labels.json was left aside" in note for note in found.facts.notes)


def test_a_test_split_without_labels_counts_as_none(tmp_path: Path) -> None:
    write_jsonl(
        tmp_path / "train.jsonl",
        [{"text": text, "label": index % 2} for index, text in enumerate(texts(100))],
    )
    write_jsonl(tmp_path / "validation.jsonl", [{"text": text, "label": 1} for text in texts(10)])
    write_jsonl(tmp_path / "test.jsonl", [{"text": text, "label": -1} for text in texts(10)])
    found = load(tmp_path)
    assert len(found.report) == 10
    assert "validation" in found.facts.splits["report"].origin
    assert any("No row of test has a label" in note for note in found.facts.notes)
    names = [{"text": text, "label": "ny"[at % 2]} for at, text in enumerate(texts(100))]
    write_jsonl(tmp_path / "train.jsonl", names)
    write_jsonl(tmp_path / "validation.jsonl", names[:10])
    assert any("No row of test has a label" in note for note in load(tmp_path).facts.notes)
    write_jsonl(tmp_path / "test.jsonl", [{"text": text} for text in texts(10)])
    assert any("test has no column 'label'" in note for note in load(tmp_path).facts.notes)


def test_rows_without_a_label(tmp_path: Path) -> None:
    rows = labelled(["x", "y"] * 50)
    bare = texts(3)
    write_csv(tmp_path / "train.csv", [*rows, (bare[0], ""), (bare[1], "nan"), (bare[2], None)])
    write_csv(tmp_path / "test.csv", labelled(["x", "", "y"]))
    found = load(tmp_path)
    assert found.unlabeled == bare
    assert len(found.report) == 2
    assert found.facts.removed.unlabeled == 1
    assert any("3 rows have no label (the first is row 102)" in note for note in found.facts.notes)


# --- the hub ------------------------------------------------------------------------------------------------------


def test_a_hub_data_set_as_tables() -> None:
    import datasets

    features = datasets.Features(
        {"text": datasets.Value("string"), "label": datasets.ClassLabel(names=["no", "yes"])}
    )
    rows = datasets.Dataset.from_dict({"text": ["a", "b"], "label": [1, -1]}, features=features)
    table = hub.tables_of(datasets.DatasetDict({"train": rows}), "owner/name:config")["train"]
    assert table.name == "owner/name:config#train"
    assert table.label_names == {"label": ("no", "yes")}
    blocks = list(table.blocks("label", "text"))
    assert [(list(block.rows), block.columns) for block in blocks] == [([1, 2], ([1, -1], ["a", "b"]))]


def test_class_names_that_datasets_leave_in_parquet_are_kept(tmp_path: Path) -> None:
    import datasets

    features = datasets.Features(
        {"text": datasets.Value("string"), "label": datasets.ClassLabel(names=["no", "yes"])}
    )
    rows = datasets.Dataset.from_dict({"text": texts(100), "label": [0, 1] * 50}, features=features)
    pq.write_table(rows.data.table, tmp_path / "a.parquet")
    assert load(tmp_path / "a.parquet").task.label_names == ("no", "yes")


def test_what_the_library_of_data_sets_raises_is_said_plainly() -> None:
    """What no hub of a test can bring about; the rest is in test_hub.py."""
    full = hub.told(OSError(28, "No space left on device"), "a/b")
    assert isinstance(full, StoreError)
    assert "the disk is full" in str(full)
    odd = hub.told(KeyError("odd"), "a/b")
    assert isinstance(odd, HubError)
    assert "could not be fetched: KeyError: 'odd'" in str(odd)


def test_a_name_that_is_neither_file_nor_hub_id() -> None:
    with pytest.raises(DataError, match="neither a file or folder that exists nor a hub id"):
        read.open_source("my reviews")
    with pytest.raises(DataError, match="no such file"):
        read.open_source("data/reviews.csv")


# --- a split to measure on ----------------------------------------------------------------------------------------


def test_the_split_to_measure_on(tmp_path: Path) -> None:
    write_csv(tmp_path / "train.csv", labelled("xy"))
    path = write_csv(tmp_path / "test.csv", [("good one", "yes"), ("bad one", "no"), ("odd", "")])
    name, split, _ = labelled_split(str(tmp_path), ("no", "yes"))
    assert (name, split.texts, split.labels.tolist()) == ("test", ["good one", "bad one"], [1, 0])
    with pytest.raises(DataError, match="row 2: the label 'yes' is none of the model's: 'no', 'si'"):
        labelled_split(str(path), ("no", "si"))
    numbers = write_csv(tmp_path / "numbers.csv", [("good one", 1), ("bad one", 0), ("odd", -1)])
    assert labelled_split(str(numbers), ("no", "yes"))[1].labels.tolist() == [1, 0]
    bare = write_csv(tmp_path / "bare.csv", [("good one", "")])
    with pytest.raises(DataError, match="no row has a label"):
        labelled_split(str(bare), ("no", "yes"))
