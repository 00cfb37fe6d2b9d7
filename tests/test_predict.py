"""`stepdown predict` and what is under it: rows in, answers out, in constant memory."""

from __future__ import annotations

import copy
import csv
import io
import json
import os
import pickle
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import tiny_bundle
from click.testing import CliRunner

from stepdown.cli.counting import RowProgress
from stepdown.cli.predict import predict
from stepdown.errors import DataError, InputError
from stepdown.runtime import Classifier, bundle
from stepdown.runtime.columns import Wanted
from stepdown.runtime.predict import Counts, Work, answers, run
from stepdown.runtime.rows import BadRow, from_stream
from stepdown.runtime.tables import from_file
from tests import interrupts
from tests.conftest import invoke


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("predict")
    bundle.write(folder / "b", tiny_bundle.about(), tiny_bundle.contents(folder))
    return folder / "b"


@pytest.fixture(scope="module")
def classifier(path: Path) -> Classifier:
    return Classifier.load(path)


def called(*arguments: str | Path, stdin: str | bytes = "") -> str:
    result = CliRunner().invoke(predict, list(map(str, arguments)), input=stdin, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


def objects(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


# --- one answer -------------------------------------------------------------------------------------


def test_an_answer_has_the_shape_of_the_contract(classifier: Classifier) -> None:
    texts = ["good movie", "good " * 99]
    probabilities = classifier.predict_proba(texts)
    first, long = answers(classifier, texts, 2)
    best = sorted(zip(probabilities[0].tolist(), tiny_bundle.LABELS, strict=True), reverse=True)
    assert list(first) == ["text", "label", "score", "scores"]
    assert first["text"] == "good movie"
    assert (first["label"], list(first["scores"])) == (best[0][1], [name for _, name in best[:2]])
    assert list(first["scores"].values()) == pytest.approx([value for value, _ in best[:2]], abs=1e-6)
    assert first["score"] == first["scores"][first["label"]]
    assert long["truncated"] is True
    assert [len(answers(classifier, ["a"], top)[0]["scores"]) for top in (0, 1, 2, 3, 9)] == [3, 1, 2, 3, 3]
    assert answers(classifier, [], 5) == []


# --- the command ------------------------------------------------------------------------------------


def test_texts_of_the_command_line_and_of_stdin_are_answered_alike(
    path: Path, classifier: Classifier
) -> None:
    texts = ["good movie!", "not a bad one", "שלום 😂"]
    expected = answers(classifier, texts, 5)
    assert objects(called(path, *texts)) == expected
    assert objects(called(path, stdin="\n".join(texts) + "\n")) == expected
    assert objects(called(path, stdin="\n".join(texts))) == expected
    assert objects(called(path, "--input", "-", stdin="\ufeff" + "\r\n".join(texts))) == expected
    assert called(path, stdin="") == ""


def test_every_line_has_its_answer_also_the_empty_one(path: Path) -> None:
    found = objects(called(path, "--top", "1", stdin="good\n\nbad\n"))
    assert [answer["text"] for answer in found] == ["good", "", "bad"]
    assert all(len(answer["scores"]) == 1 for answer in found)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["x", "--input", "f.csv"], "Give one of them"),
        (["x", "--column", "text"], "Name the file with --input"),
        (["--input", "f.csv", "--column", "a", "--column", "b"], "the model reads single texts, not pairs"),
        (["--input", "f.csv"], "no file f.csv"),
        (["--input", "f.docx"], "ends in none of .csv, .tsv, .jsonl"),
    ],
)
def test_what_cannot_be_meant_is_told(path: Path, arguments: list[str], says: str) -> None:
    result = CliRunner().invoke(predict, [str(path), *arguments])
    assert isinstance(result.exception, InputError)
    assert says in str(result.exception)
    assert result.stdout == ""


# --- files ------------------------------------------------------------------------------------------

ROWS = [
    {"id": "1", "sentence": 'good, "very" good', "label": "pos"},
    {"id": "2", "sentence": "two; words", "label": ""},
    {"id": "3", "sentence": "é 😂", "label": "neg"},
]


def csv_of(rows: list[dict[str, str]], delimiter: str = ",") -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), delimiter=delimiter)
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


@pytest.fixture(params=[".csv", ".tsv", ".jsonl", ".parquet"])
def file(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """The same rows in every format."""
    target = tmp_path / f"in{request.param}"
    if request.param == ".parquet":
        pyarrow = pytest.importorskip("pyarrow")
        parquet = pytest.importorskip("pyarrow.parquet")
        parquet.write_table(pyarrow.Table.from_pylist(ROWS), target)
    elif request.param == ".jsonl":
        target.write_text("\n\n".join(json.dumps(row) for row in ROWS), encoding="utf-8")
    else:
        target.write_text(
            csv_of(ROWS, "\t" if request.param == ".tsv" else ","), encoding="utf-8-sig", newline=""
        )
    return target


def test_the_columns_of_a_file_are_kept(path: Path, file: Path, classifier: Classifier) -> None:
    found = objects(called(path, "--input", file))
    expected = answers(classifier, [row["sentence"] for row in ROWS], 5)
    renamed = [{"id": row["id"], "sentence": row["sentence"], "input_label": row["label"]} for row in ROWS]
    assert found == [row | answer for row, answer in zip(renamed, expected, strict=True)]
    assert found == objects(called(path, "--input", file, "--column", "sentence"))


def test_a_table_is_answered_with_a_table(
    path: Path, file: Path, tmp_path: Path, classifier: Classifier
) -> None:
    output = tmp_path / "out.csv"
    if file.suffix == ".jsonl":
        with pytest.raises(InputError, match=r"answered as \.jsonl"):
            called(path, "--input", file, "--output", output)
        assert not output.exists()
        return
    assert called(path, "--input", file, "--output", output) == ""
    with output.open(encoding="utf-8", newline="") as opened:
        found = list(csv.DictReader(opened))
    expected = answers(classifier, [row["sentence"] for row in ROWS], 5)
    for row, answer, source in zip(found, expected, ROWS, strict=True):
        assert list(row) == ["id", "sentence", "input_label", "label", "score", "scores", "truncated"]
        assert (row["id"], row["sentence"], row["input_label"]) == tuple(source.values())
        assert (row["label"], float(row["score"])) == (answer["label"], answer["score"])
        assert json.loads(row["scores"]) == answer["scores"]


def test_texts_become_a_table_or_lines_in_a_file(path: Path, tmp_path: Path) -> None:
    called(path, "good\u2028", "bad", "--output", tmp_path / "out.tsv")
    lines = (tmp_path / "out.tsv").read_text(encoding="utf-8").split("\n")
    assert [line.split("\t")[0] for line in lines] == ["text", "good\u2028", "bad", ""]
    (tmp_path / "in.txt").write_text("good\nbad\n")
    called(path, "--input", tmp_path / "in.txt", "--output", tmp_path / "out.jsonl")
    assert [a["text"] for a in objects((tmp_path / "out.jsonl").read_text())] == ["good", "bad"]
    with pytest.raises(DataError, match="has no columns"):
        called(path, "--input", tmp_path / "in.txt", "--column", "text")


def test_dialects_of_tables_are_read(path: Path, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text('id;text\n1;"two\nlines"\n2;a, b\n')
    assert [a["text"] for a in objects(called(path, "--input", tmp_path / "a.csv"))] == ["two\nlines", "a, b"]
    # Quotes that enclose no whole cell are text there, and never swallow the lines that follow.
    (tmp_path / "a.tsv").write_text('id\ttext\n1\t"open\n2\t"a ""b"" c"\n\n3\t"x" y\r\n')
    found = [a["text"] for a in objects(called(path, "--input", tmp_path / "a.tsv"))]
    assert found == ['"open', 'a "b" c', '"x" y']


def test_columns_named_as_ours_are_all_kept(path: Path, tmp_path: Path) -> None:
    row = {"text": "another", "body": "good", "label": "x", "input_label": "y", "score": "z"}
    (tmp_path / "in.csv").write_text(csv_of([row]))
    (found,) = objects(called(path, "--input", tmp_path / "in.csv", "--column", "body"))
    kept = {"body": "good", "input_input_label": "x", "input_label": "y", "input_score": "z"}
    assert found.items() >= (kept | {"text": "good", "input_text": "another"}).items()


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("in.csv", b"", "no header line"),
        ("in.csv", b"\xff\xfe,b\n", "no header line in UTF-8"),
        ("in.csv", b"a,a\n1,2\n", "column 'a' twice"),
        ("in.csv", b"a,b\n1,2\n", "several columns: 'a', 'b'. Say which one"),
        ("in.csv", b"text\n", None),
        ("in.csv", b"text,b\nx,1\ny\n", r"row 2 (line 3): 1 cells; expected 2"),
        ("in.csv", b'text,b\nx,1\n"y,2\n', "row 2 (line 3): unexpected end of data"),
        ("in.csv", b'text,b\n"x"y,1\n', "row 1 (line 2): ',' expected after '\"'"),
        ("in.csv", b"text,b\nx,1\n\xff,2\n", "row 2 (line 3): not UTF-8"),
        ("in.jsonl", b'{"text": "x"}\nnonsense\n', "row 2: no JSON"),
        ("in.jsonl", b'{"text": NaN}\n', "NaN is no JSON value"),
        ("in.jsonl", b"[1]\n", "row 1: a list. Expected a JSON object"),
        ("in.jsonl", b'{"text": "x"}\n{"txt": "y"}\n', "row 2: 'text' is missing"),
        ("in.jsonl", b'{"text": null}\n', "row 1: 'text' is null. Expected a text"),
        ("in.jsonl", b'{"text": "\xff"}\n', "row 1: no JSON"),
        ("in.jsonl", b"[" * 100_000, "row 1: no JSON"),
        ("in.txt", b"good\n\xff\n", "row 2: not UTF-8 at byte 0"),
        ("in.parquet", b"PAR1 nonsense", "no Parquet file"),
    ],
)
def test_bad_files_are_told(path: Path, tmp_path: Path, name: str, content: bytes, says: str | None) -> None:
    (tmp_path / name).write_bytes(content)
    output = tmp_path / "out.jsonl"
    if says is None:
        assert called(path, "--input", tmp_path / name, "--output", output) == ""
        assert output.read_text() == ""
        return
    with pytest.raises(InputError) as error:
        called(path, "--input", tmp_path / name, "--output", output)
    assert says in str(error.value)
    assert name in str(error.value)
    assert "\n" not in str(error.value)
    assert not output.exists()


def test_bad_rows_can_be_skipped(path: Path, tmp_path: Path) -> None:
    (tmp_path / "in.csv").write_bytes(b'text,b\ngood,1\nbad\n"x"y,1\nnot,2\n\xff,3\n\nmovie,4\n')
    result = CliRunner().invoke(
        predict, [str(path), "--input", str(tmp_path / "in.csv"), "--skip-bad-rows"], catch_exceptions=False
    )
    assert [answer["text"] for answer in objects(result.stdout)] == ["good", "not", "movie"]
    assert "Rows that could not be read: 3; answered: 3." in result.stderr
    assert "row 2 (line 3)" in result.stderr
    result = CliRunner().invoke(predict, [str(path), "--skip-bad-rows"], input=b"good\n\xff\xff\nbad\n")
    assert [answer["text"] for answer in objects(result.stdout)] == ["good", "bad"]
    assert "Rows that could not be read: 1; answered: 2." in result.stderr


def test_rows_before_a_bad_one_are_answered(path: Path) -> None:
    result = CliRunner().invoke(predict, [str(path)], input=b"good\n\xff\nbad\n")
    assert isinstance(result.exception, BadRow)
    assert [answer["text"] for answer in objects(result.stdout)] == ["good"]


def test_a_text_of_megabytes_and_halves_of_pairs_are_answered(path: Path, tmp_path: Path) -> None:
    rows = [{"text": "good " * 1_000_000}, {"text": "\ud800 good"}]
    (tmp_path / "in.jsonl").write_text("\n".join(json.dumps(row) for row in rows))
    found = objects(called(path, "--input", tmp_path / "in.jsonl"))
    assert [answer["text"] for answer in found] == [row["text"] for row in rows]
    assert [answer.get("truncated", False) for answer in found] == [True, False]
    (tmp_path / "in.csv").write_text('text\n"' + "good\n" * 100_000 + '"\n')
    assert len(objects(called(path, "--input", tmp_path / "in.csv"))) == 1


def test_without_pyarrow_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "in.parquet").write_bytes(b"")
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(InputError, match=r'pip install "stepdown\[parquet\]"'):
        from_file(tmp_path / "in.parquet", Wanted())


def test_how_much_of_a_file_was_read_is_known(classifier: Classifier, file: Path, tmp_path: Path) -> None:
    table = from_file(file, Wanted())
    shares = [table.share() for _ in table.rows]
    assert shares == sorted(shares)
    assert shares[-1] == 1.0
    counted: list[Counts] = []
    run(classifier, Work(input=file), io.BytesIO(), io.BytesIO(), on_progress=counted.append)
    assert [(counts.rows, counts.share) for counts in counted] == [(3, 1.0)]
    run(classifier, Work(), io.BytesIO(b"good"), io.BytesIO(), on_progress=counted.append)
    assert (counted[-1].rows, counted[-1].share) == (1, None)


# --- streams ----------------------------------------------------------------------------------------


class Endless(io.RawIOBase):
    """A file of ten million lines that exists nowhere; remembers how far it was read."""

    def __init__(self, lines: int) -> None:
        self.left = lines

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        count = min(self.left, len(buffer) // 5)
        buffer[: 5 * count] = b"good\n" * count
        self.left -= count
        return 5 * count


def test_a_stream_is_answered_before_more_of_it_is_read(classifier: Classifier) -> None:
    source = Endless(10_000_000)
    progress: list[tuple[int, int]] = []

    class Enough(Exception):
        pass

    def watch(counts: Counts) -> None:
        progress.append((counts.rows, source.left))
        if len(progress) == 3:
            raise Enough

    with pytest.raises(Enough):
        run(classifier, Work(), io.BufferedReader(source), io.BytesIO(), on_progress=watch)
    for rows, left in progress:
        assert 10_000_000 - left <= rows + 65_536  # what was read is what was answered, and one buffer


def test_lines_are_put_together_from_what_comes() -> None:
    class Drops:
        def __init__(self, content: bytes, size: int) -> None:
            self.parts: Iterator[bytes] = iter(
                [content[at : at + size] for at in range(0, len(content), size)]
            )

        def read1(self, _: int) -> bytes:
            return next(self.parts, b"")

    content = "one\ntwo é\n\nlast".encode()
    for size in range(1, len(content) + 1):
        rows = [row for window in from_stream(Drops(content, size)) for row in window]  # type: ignore[arg-type]
        assert [(row.number, row.text) for row in rows if not isinstance(row, BadRow)] == [
            (1, "one"),
            (2, "two é"),
            (3, ""),
            (4, "last"),
        ]


def started(path: Path, *arguments: str, **pipes: Any) -> subprocess.Popen[bytes]:
    """The command as a process of its own, as a shell would start it."""
    return interrupts.started([sys.executable, "-m", "stepdown", "predict", str(path), *arguments], **pipes)


def test_a_line_is_answered_while_the_stream_stays_open(path: Path) -> None:
    pipe = subprocess.PIPE
    with started(path, stdin=pipe, stdout=pipe) as process:
        assert process.stdin
        assert process.stdout
        for text in ("good", "bad"):
            process.stdin.write(f"{text}\n".encode())
            process.stdin.flush()
            assert json.loads(process.stdout.readline())["text"] == text
        process.stdin.close()
        assert process.wait(20) == 0


def test_a_reader_that_leaves_ends_it_quietly(path: Path, tmp_path: Path) -> None:
    (tmp_path / "in.txt").write_text("good movie\n" * 50_000)
    pipe = subprocess.PIPE
    with started(path, "--input", str(tmp_path / "in.txt"), stdout=pipe, stderr=pipe) as process:
        assert process.stdout
        assert process.stderr
        process.stdout.readline()
        process.stdout.close()
        assert process.wait(20) == 0
        assert process.stderr.read() == b""


@pytest.mark.skipif(os.name != "posix", reason="sends a signal")
def test_an_interrupt_ends_it_quietly_and_leaves_no_half_file(path: Path, tmp_path: Path) -> None:
    pipe = subprocess.PIPE
    output = tmp_path / "out" / "out.jsonl"
    with started(path, "--output", str(output), stdin=pipe, stderr=pipe) as process:
        assert process.stdin
        assert process.stderr
        process.stdin.write(b"good\n")
        process.stdin.flush()
        while not (output.parent.exists() and list(output.parent.iterdir())):
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == 130
        assert process.stderr.read() == b""
    assert list(output.parent.iterdir()) == []


@pytest.mark.skipif(os.name != "posix", reason="sends a signal")
def test_an_interrupt_amid_a_stream_ends_it_quietly(path: Path) -> None:
    pipe = subprocess.PIPE
    with started(path, stdin=pipe, stdout=pipe, stderr=pipe) as process:
        assert process.stdin
        assert process.stdout
        assert process.stderr
        process.stdin.write(b"good\n")
        process.stdin.flush()
        assert json.loads(process.stdout.readline())["text"] == "good"
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == 130
        assert process.stderr.read() == b""


@pytest.mark.skipif(shutil.which("bash") is None, reason="needs a shell with pipes")
def test_the_head_of_an_endless_stream_is_had_from_a_shell(path: Path) -> None:
    line = (
        f"yes good | {shlex.quote(sys.executable)} -m stepdown predict {shlex.quote(str(path))} | head -n 1"
    )
    script = f"{line}; echo ${{PIPESTATUS[1]}}"
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, timeout=60)
    answer, code = done.stdout.splitlines()
    assert (json.loads(answer)["text"], code) == ("good", "0")
    assert "Traceback" not in done.stderr
    assert "Error" not in done.stderr


@pytest.mark.skipif(sys.platform != "linux", reason="asks Linux how much memory a process took")
def test_memory_stays_the_same_however_many_rows(path: Path, tmp_path: Path) -> None:
    """LOG.md has ten million of them."""

    def most(rows: int) -> int:
        with (tmp_path / "in.csv").open("w") as file:
            file.write("id,text\n")
            file.writelines(f"{row},good movie {row % 97}\n" for row in range(rows))
        # The system's own account of a child would begin with the memory of these tests.
        script = (
            "import re; from pathlib import Path; from stepdown.cli.predict import predict\n"
            f"predict([{str(path)!r}, '--input', 'in.csv', '--output', 'out.csv'], standalone_mode=False)\n"
            "print(re.search(r'VmHWM:\\s*(\\d+)', Path('/proc/self/status').read_text())[1])"
        )
        done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        assert (tmp_path / "out.csv").read_bytes().count(b"\n") == rows + 1
        return int(done.stdout)

    few, many = most(10_000), most(60_000)
    assert many <= 1.05 * few, f"{few:,} and {many:,} kB"


# --- progress ---------------------------------------------------------------------------------------


def test_progress_is_told_in_place_or_now_and_then(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    clock = iter([0.0, 0.2, 1.0, 1.1, 2.0])
    monkeypatch.setattr("stepdown.cli.counting.time.monotonic", lambda: next(clock))
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    live = RowProgress()
    for rows, share in ((100, 0.1), (5000, 0.25), (5100, 0.26), (10_000, None)):
        live(rows, share)
    live.end()
    told = capsys.readouterr().err.split("\r")[1:]
    assert told[0] == "5,000 rows, 5,000 a second, 25%, 3 s left"
    assert told[1].rstrip() == "10,000 rows, 5,000 a second"
    assert [part.strip() for part in told[2:]] == ["", ""]
    clock = iter([0.0, 29.0, 31.0, 32.0])
    monkeypatch.setattr("sys.stderr.isatty", lambda: False)
    kept = RowProgress()
    for rows in (100, 3100, 3200):
        kept(rows)
    kept.end()
    assert capsys.readouterr().err == "3,100 rows, 100 a second\n"


# --- where answers go, and what they come from ---------------------------------------------------------------------


def test_a_device_or_a_pipe_is_written_to_and_not_replaced(path: Path, tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = subprocess.Popen(["cat", str(pipe)], stdout=subprocess.PIPE, text=True)
    called(path, "good", "--output", pipe)
    assert [one["text"] for one in objects(reader.communicate(timeout=60)[0])] == ["good"]
    assert pipe.is_fifo()
    called(path, "good", "--output", "/dev/null")
    assert Path("/dev/null").is_char_device()


def test_a_link_is_followed_and_permissions_stay(path: Path, tmp_path: Path) -> None:
    real, link = tmp_path / "real.jsonl", tmp_path / "link.jsonl"
    real.write_text("old", encoding="utf-8")
    real.chmod(0o600)
    link.symlink_to(real)
    called(path, "good", "--output", link)
    assert link.is_symlink()
    assert objects(real.read_text(encoding="utf-8"))[0]["text"] == "good"
    assert real.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--output", "."], r"\. is a folder\. Name a file\."),
        (["--output", ""], "A name of a file is empty"),
        (["--input", ""], "Both texts and --input were given"),
    ],
)
def test_what_is_no_place_for_answers_is_told_before_the_work(
    path: Path, options: list[str], message: str
) -> None:
    found = invoke("predict", str(path), "good", *options)
    assert getattr(found.exception, "exit_code", None) == 2
    assert re.search(message, str(found.exception))


def test_a_pipe_as_input_is_told_apart_from_no_file(path: Path, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.csv")
    with pytest.raises(DataError, match=r"is a pipe or a device\. Send its lines to stdin\."):
        from_file(tmp_path / "pipe.csv", Wanted())


def test_lines_may_end_as_old_spreadsheets_end_them(path: Path, tmp_path: Path) -> None:
    source = tmp_path / "mac.csv"
    source.write_bytes(b'text,x\rgood,1\r"bad\rand more",2\r')
    assert [one["text"] for one in objects(called(path, "--input", source))] == ["good", "bad\rand more"]


@pytest.mark.parametrize(("closed", "code"), [("<&-", 0), (">&-", 1)])
def test_a_closed_stream_is_no_crash(path: Path, closed: str, code: int) -> None:
    command = f"{shlex.quote(sys.executable)} -m stepdown predict {shlex.quote(str(path))} good {closed}"
    found = subprocess.run(["bash", "-c", command], capture_output=True, text=True)
    assert found.returncode == code, found.stderr
    assert "Traceback" not in found.stderr
    assert code == 0 or "Standard output is closed. Name a file with --output FILE." in found.stderr


def test_what_has_no_input_says_so(path: Path) -> None:
    command = f"{shlex.quote(sys.executable)} -m stepdown predict {shlex.quote(str(path))} <&-"
    found = subprocess.run(["bash", "-c", command], capture_output=True, text=True)
    assert found.returncode == 2
    assert "Standard input is closed. Give texts, or name a file with --input FILE." in found.stderr


def test_a_tsv_that_is_written_can_be_read(path: Path, tmp_path: Path) -> None:
    source, first, second = tmp_path / "in.csv", tmp_path / "first.tsv", tmp_path / "second.tsv"
    texts = ["tab\there\nand a line", '"good"', 'a "good" one', "plain"]
    with source.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([["text"], *([text] for text in texts)])
    called(path, "--input", source, "--output", first)
    called(path, "--input", first, "--output", second)
    expected = ["tab here and a line", *texts[1:]]
    rows = from_file(second, Wanted(("text",))).rows
    assert [row.text for row in rows if not isinstance(row, BadRow)] == expected


def test_a_number_beyond_all_numbers_is_a_bad_row(path: Path, tmp_path: Path) -> None:
    source = tmp_path / "a.jsonl"
    source.write_text('{"text": "good", "size": 1e400}\n', encoding="utf-8")
    found = invoke("predict", str(path), "--input", str(source))
    assert getattr(found.exception, "exit_code", None) == 2
    assert "1e400 is beyond what a number can hold" in str(found.exception)


def test_a_quote_that_nothing_closes_tells_how_far_it_reaches(tmp_path: Path) -> None:
    source = tmp_path / "a.csv"
    source.write_text('text,y\n"a,1\n' + "b,2\n" * 50, encoding="utf-8")
    (bad,) = from_file(source, Wanted(("text",))).rows
    assert isinstance(bad, BadRow)
    assert "row 1 (lines 2 to 52)" in str(bad)


def test_a_classifier_is_pickled_and_copied_as_its_place(path: Path) -> None:
    classifier = Classifier.load(path)
    for other in (pickle.loads(pickle.dumps(classifier)), copy.deepcopy(classifier)):
        assert other.predict(["good"]) == classifier.predict(["good"])
    in_memory = Classifier(bundle.read(path))
    with pytest.raises(TypeError, match="not read from a path"):
        pickle.dumps(in_memory)


def test_a_name_that_no_file_can_have_is_no_crash() -> None:
    found = invoke("predict", "x" * 300, "good")
    assert getattr(found.exception, "exit_code", None) == 2
    assert "cannot be read: File name too long" in str(found.exception)


def test_a_model_in_the_box_is_packed_already() -> None:
    found = invoke("export", "sentiment")
    assert getattr(found.exception, "exit_code", None) == 2
    assert "sentiment is a model that comes with stepdown" in str(found.exception)
