"""What `pip install stepdown` alone can do: run bundles, on numpy and onnxruntime, without any of the extras."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
import venv
import zipfile
from pathlib import Path

import pytest

from stepdown.runtime.shipped import shipped

ROOT = Path(__file__).parent.parent
# What may be imported beside the standard library: not even all that onnxruntime asks to be installed.
CORE = ("stepdown", "numpy", "onnxruntime", "click")
# As if nothing else were installed, and no connection could be opened.
ALONE = f"""
import sys
class Nothing:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] not in {{*sys.stdlib_module_names, *{CORE!r}}}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)
sys.meta_path.insert(0, Nothing())
def watch(event, arguments):
    if event.startswith("socket."):
        raise RuntimeError(f"{{event}}: nothing may open a connection")
sys.addaudithook(watch)
from stepdown.cli import main
main()
"""


def alone(
    *arguments: str | Path, given: str = "", before: tuple[str, ...] = ()
) -> subprocess.CompletedProcess[str]:
    """`stepdown …` in a process where nothing but the core can be imported and no socket be made."""
    command = [*before, sys.executable, "-c", ALONE, *map(str, arguments)]
    return subprocess.run(command, input=given, capture_output=True, text=True, timeout=120)


def labels(found: subprocess.CompletedProcess[str]) -> list[str]:
    assert found.returncode == 0, found.stderr
    return [json.loads(line)["label"] for line in found.stdout.splitlines()]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("in.csv", "id,text\n1,It's great\n2,It's terrible\n"),
        ("in.tsv", "id\ttext\n1\tIt's great\n2\tIt's terrible\n"),
        ("in.jsonl", '{"text": "It\'s great"}\n{"text": "It\'s terrible"}\n'),
        ("in.txt", "It's great\nIt's terrible\n"),
    ],
)
def test_the_core_reads_every_text_format(name: str, content: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(content, encoding="utf-8")
    assert labels(alone("predict", "sentiment", "--input", tmp_path / name)) == ["positive", "negative"]


def test_the_core_reads_folders_single_files_texts_and_streams(tmp_path: Path) -> None:
    with zipfile.ZipFile(shipped()["sentiment"]) as archive:
        archive.extractall(tmp_path / "folder")
    for path in (tmp_path / "folder", shipped()["sentiment"]):
        assert labels(alone("predict", path, "It's great")) == ["positive"]
        assert labels(alone("predict", path, given="It's great\nIt's terrible\n")) == ["positive", "negative"]


def test_parquet_is_answered_with_the_line_that_installs_it(tmp_path: Path) -> None:
    (tmp_path / "in.parquet").write_bytes(b"PAR1")
    found = alone("predict", "sentiment", "--input", tmp_path / "in.parquet")
    assert (found.returncode, found.stdout) == (2, "")
    (named,) = re.findall(r'pip install "stepdown\[(\w+)\]"', found.stderr)
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    assert any(one.startswith("pyarrow") for one in extras[named])
    assert "Traceback" not in found.stderr


def test_other_commands_are_answered_with_the_line_that_installs_them(tmp_path: Path) -> None:
    (tmp_path / "recipe.toml").write_text('name = "x"\n')
    found = alone("run", tmp_path / "recipe.toml")
    assert found.returncode == 2
    assert 'pip install "stepdown[train]"' in found.stderr
    assert "Traceback" not in found.stderr


@pytest.mark.skipif(shutil.which("unshare") is None, reason="needs Linux's unshare")
def test_it_works_where_there_is_no_network() -> None:
    """Not even what onnxruntime does in its own code can reach anything there."""
    denied = ("unshare", "--user", "--net")
    if subprocess.run([*denied, "true"], capture_output=True).returncode:
        pytest.skip("this machine lets no one make a network of their own")
    assert labels(alone("predict", "sentiment", "It's great", before=denied)) == ["positive"]


def test_the_watch_would_see_a_connection() -> None:
    script = ALONE.replace(
        "from stepdown.cli import main\nmain()", "import socket; socket.create_server(('127.0.0.1', 0))"
    )
    found = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert "nothing may open a connection" in found.stderr


@pytest.mark.slow
def test_the_runtime_adds_at_most_170_megabytes(tmp_path: Path) -> None:
    """A wheel of this tree in an empty environment, with what the package index has today."""
    wheels = pytest.importorskip("hatchling.builders.wheel")
    (made,) = wheels.WheelBuilder(str(ROOT)).build(directory=str(tmp_path / "dist"), versions=["standard"])
    venv.create(tmp_path / "env", with_pip=True)
    before = _bytes(tmp_path / "env")
    python = tmp_path / "env" / ("Scripts" if os.name == "nt" else "bin") / "python"
    installed = subprocess.run([python, "-m", "pip", "install", "-q", made], capture_output=True, text=True)
    if installed.returncode:
        pytest.skip(f"no package index: {installed.stderr.splitlines()[-1]}")
    added = _bytes(tmp_path / "env") - before
    assert added <= 170_000_000, f"{added:,} bytes"
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    command = [python, "-m", "stepdown", "predict", "sentiment", "It's great"]
    assert labels(subprocess.run(command, capture_output=True, text=True, env=environment)) == ["positive"]


def _bytes(folder: Path) -> int:
    """What the disk gives for all files of a folder."""
    return sum(
        getattr(path.lstat(), "st_blocks", 0) * 512 or path.lstat().st_size for path in folder.rglob("*")
    )
