"""The store keeps its promises when processes are killed, disks fill up and bytes rot."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from safetensors.numpy import save_file

from stepdown import store
from stepdown.errors import StoreError

PYTHON = sys.executable


def start(code: str, *arguments: str | Path) -> subprocess.Popen[str]:
    """Another Python process that runs `code`, with the arguments in sys.argv[1:]."""
    command = [
        PYTHON,
        "-c",
        f"import sys, time\nfrom pathlib import Path\nfrom stepdown import store\n{code}",
    ]
    return subprocess.Popen(
        [*command, *map(str, arguments)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def told(process: subprocess.Popen[str], expected: str) -> None:
    """Wait until the process has printed the line `expected`."""
    assert process.stdout is not None
    assert process.stdout.readline().strip() == expected


def kill(process: subprocess.Popen[str]) -> None:
    process.send_signal(signal.SIGKILL)
    process.communicate()


def leftovers(folder: Path) -> list[Path]:
    return list(folder.rglob(".stepdown-*"))


@pytest.fixture
def tiny_disk(tmp_path: Path) -> Iterator[Path]:
    """A real file system of 64 kB."""
    place = tmp_path / "tiny"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(place)]
    if not sys.platform.startswith("linux") or subprocess.run(mount, capture_output=True).returncode != 0:
        pytest.skip("mounting a small file system is not permitted here")
    yield place
    subprocess.run(["umount", str(place)], check=True)


# --- places


def test_cache_dir_is_where_the_user_says(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("STEPDOWN_CACHE", str(tmp_path / "here"))
    assert store.cache_dir() == tmp_path / "here"
    monkeypatch.setenv("STEPDOWN_CACHE", "~/there")
    assert store.cache_dir() == Path.home() / "there"
    monkeypatch.delenv("STEPDOWN_CACHE")
    assert "stepdown" in store.cache_dir().parts
    assert store.cache_dir().is_absolute()


def test_free_bytes_of_a_place_that_is_not_there_yet(tmp_path: Path) -> None:
    assert store.free_bytes(tmp_path / "not" / "yet") > 0


# --- whole files


def test_what_is_written_is_read_back_and_folders_are_made(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b.json"
    value = {"naïve": [1, 2.5, None, True], "nested": {"text": "a\nb"}}
    store.write_json(path, value)
    assert store.read_json(path) == value
    store.write_text(path, "one\r\ntwo\n")
    assert path.read_bytes() == b"one\r\ntwo\n"
    assert leftovers(tmp_path) == []


def test_files_have_the_permissions_that_the_umask_gives(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        store.write_bytes(tmp_path / "x", b"")
    finally:
        os.umask(before)
    assert (tmp_path / "x").stat().st_mode & 0o777 == 0o640


def test_json_takes_numbers_of_numpy_and_paths_but_no_nan(tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    store.write_json(path, {"a": np.float32(0.5), "b": np.arange(3), "c": Path("d") / "e"})
    assert json.loads(path.read_text()) == {"a": 0.5, "b": [0, 1, 2], "c": str(Path("d") / "e")}
    with pytest.raises(ValueError, match="JSON"):
        store.write_json(path, {"a": np.float32("nan")})
    with pytest.raises(TypeError, match="set"):
        store.write_json(path, {"a": {1}})
    assert store.read_json(path)["a"] == 0.5


def test_a_block_that_fails_leaves_the_old_content_and_no_trace(tmp_path: Path) -> None:
    path = tmp_path / "x"
    store.write_bytes(path, b"old")

    def interrupted() -> None:
        with store.write_file(path) as file:
            file.write(b"new")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert path.read_bytes() == b"old"
    assert leftovers(tmp_path) == []


@pytest.mark.parametrize(
    ("content", "found"), [(None, "not there"), (b"{", "damaged"), (b"\xff\xfe\x00", "damaged")]
)
def test_reading_json_that_is_absent_or_damaged(tmp_path: Path, content: bytes | None, found: str) -> None:
    path = tmp_path / "x.json"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(StoreError, match=found) as caught:
        store.read_json(path)
    assert str(path) in str(caught.value)


def test_kill_in_the_middle_of_writing_leaves_one_whole_content(tmp_path: Path) -> None:
    path = tmp_path / "x"
    contents = (b"a" * 3_000_000, b"b" * 5_000_000)
    store.write_bytes(path, contents[0])
    code = """
contents = (b"a" * 3_000_000, b"b" * 5_000_000)
print("go", flush=True)
while True:
    for content in contents:
        store.write_bytes(Path(sys.argv[1]), content)
"""
    chance = random.Random(0)
    for _ in range(5):
        process = start(code, path)
        told(process, "go")
        time.sleep(0.05 * chance.random())
        kill(process)
        assert path.read_bytes() in contents
    store.sweep(tmp_path)
    assert leftovers(tmp_path) == []


def test_sweep_takes_what_the_dead_left_and_spares_the_living(tmp_path: Path) -> None:
    code = """
place = Path(sys.argv[1])
with store.write_folder(place / "folder") as folder, store.write_file(place / "x") as file:
    (folder / "part").write_text("half")
    print("writing", flush=True)
    time.sleep(60)
"""
    process = start(code, tmp_path)
    told(process, "writing")
    foreign = tmp_path / ".stepdown-00000000-1-00000000.tmp"
    old = tmp_path / ".stepdown-00000000-1-00000001.tmp"
    for path in (foreign, old):
        path.write_text("of another machine")
    os.utime(old, (0, 0))
    (tmp_path / ".stepdown-mine.tmp").write_text("the user's own")
    store.sweep(tmp_path)
    assert len(leftovers(tmp_path)) == 4  # the living process's two, the foreign one, and the user's own
    assert not old.exists()
    kill(process)
    store.sweep(tmp_path)
    assert sorted(leftovers(tmp_path)) == sorted([foreign, tmp_path / ".stepdown-mine.tmp"])


# --- whole folders


def test_a_folder_takes_its_place_whole_and_replaces_the_old(tmp_path: Path) -> None:
    place = tmp_path / "runs" / "bundle"
    for content in ("one", "two"):
        with store.write_folder(place) as folder:
            (folder / content).write_text(content)
            (folder / "below").mkdir()
            (folder / "below" / "x").write_text(content)
            assert content == "one" or (place / "one").exists(), (
                "the old folder serves until the new one is done"
            )
    assert sorted(path.name for path in place.iterdir()) == ["below", "two"]
    assert leftovers(tmp_path) == []


@pytest.mark.skipif(os.name == "nt", reason="there the umask gives nothing")
def test_weights_in_a_folder_have_the_permissions_that_the_umask_gives(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        with store.write_folder(tmp_path / "model") as folder:
            save_file({"weights": np.zeros(3, np.float32)}, folder / "model.safetensors")
            (folder / "below").mkdir()
            with tempfile.NamedTemporaryFile(dir=folder / "below", delete=False) as private:
                private.write(b"x")
            (folder / "read-only").write_text("x")
            (folder / "read-only").chmod(0o400)
    finally:
        os.umask(before)
    modes = {
        file.name: file.stat().st_mode & 0o777 for file in (tmp_path / "model").rglob("*") if file.is_file()
    }
    assert modes == {"model.safetensors": 0o640, Path(private.name).name: 0o640, "read-only": 0o400}


def test_a_folder_whose_block_fails_never_appears(tmp_path: Path) -> None:
    def broken() -> None:
        with store.write_folder(tmp_path / "x") as folder:
            (folder / "half").write_text("half")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        broken()
    assert list(tmp_path.iterdir()) == []


def test_a_file_in_a_folders_place_is_named_and_kept(tmp_path: Path) -> None:
    (tmp_path / "x").write_text("precious")
    with (
        pytest.raises(StoreError, match="a file is where a folder should be"),
        store.write_folder(tmp_path / "x"),
    ):
        pass
    with pytest.raises(StoreError, match="a file is where a folder should be"):
        store.write_bytes(tmp_path / "x" / "y", b"")
    assert (tmp_path / "x").read_text() == "precious"
    assert leftovers(tmp_path) == []


def test_errors_of_the_block_itself_are_not_blamed_on_the_disk(tmp_path: Path) -> None:
    with pytest.raises(ConnectionResetError), store.write_folder(tmp_path / "x"):
        raise ConnectionResetError(errno.ECONNRESET, "the network went away")
    with pytest.raises(FileNotFoundError), store.write_folder(tmp_path / "x"):
        (tmp_path / "the user's file").read_bytes()


# --- disks that refuse


def test_a_full_disk_is_told_and_the_old_content_stays(tiny_disk: Path) -> None:
    path = tiny_disk / "x"
    store.write_bytes(path, b"old")
    with pytest.raises(StoreError, match="the disk is full") as caught:
        store.write_bytes(path, os.urandom(200_000))
    assert str(path) in str(caught.value)
    assert path.read_bytes() == b"old"
    with pytest.raises(StoreError, match="the disk is full"):
        store.save_array(tiny_disk / "y.npy", np.zeros(100_000))
    assert list(tiny_disk.iterdir()) == [path]


def test_a_full_disk_met_by_other_peoples_code_in_a_folder_is_told(tiny_disk: Path) -> None:
    safetensors = pytest.importorskip("safetensors.numpy")
    with (
        pytest.raises(StoreError, match="the disk is full"),
        store.write_folder(tiny_disk / "model") as folder,
    ):
        safetensors.save_file({"x": np.zeros(100_000)}, folder / "model.safetensors")
    with (
        pytest.raises(StoreError, match="the disk is full"),
        store.write_folder(tiny_disk / "model") as folder,
    ):
        (folder / "x").write_bytes(os.urandom(200_000))
    assert list(tiny_disk.iterdir()) == []


def test_a_lock_can_be_had_on_a_full_disk(tiny_disk: Path) -> None:
    with store.lock(tiny_disk / "x.lock", "taken", wait=False):
        pass
    with (tiny_disk / "filler").open("wb", buffering=0) as file, suppress(OSError):
        while True:
            file.write(bytes(4096))
    with pytest.raises(StoreError, match="the disk is full"):
        store.write_bytes(tiny_disk / "x", b"more")
    with store.lock(tiny_disk / "x.lock", "taken", wait=False):
        pass


def test_a_limit_on_file_size_is_told(tmp_path: Path) -> None:
    pytest.importorskip("resource")
    code = """
import resource
from stepdown.errors import StoreError
resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, 10_000))
store.write_bytes(Path(sys.argv[1]), b"small")
try:
    store.write_bytes(Path(sys.argv[1]), bytes(100_000))
except StoreError as error:
    print(error)
"""
    process = start(code, tmp_path / "x")
    out, err = process.communicate()
    assert "larger than the system allows" in out, err
    assert str(tmp_path / "x") in out
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [b"small"]


def test_a_read_only_file_system_is_told(tiny_disk: Path) -> None:
    store.write_bytes(tiny_disk / "x", b"old")
    store.finish(tiny_disk, {"key": "k"})
    subprocess.run(["mount", "-o", "remount,ro", str(tiny_disk)], check=True)
    for attempt in (
        lambda: store.write_bytes(tiny_disk / "x", b"new"),
        lambda: store.write_folder(tiny_disk / "y").__enter__(),
        lambda: store.lock(tiny_disk / "z.lock", "taken", wait=False).__enter__(),
    ):
        with pytest.raises(StoreError, match="read-only") as caught:
            attempt()
        assert str(tiny_disk) in str(caught.value)
    assert store.finished(tiny_disk, "k", verify=True) is not None, "what is there still serves"


@pytest.mark.skipif(not hasattr(os, "seteuid"), reason="no permissions of this kind here")
def test_a_folder_without_permission_is_told(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    superuser = os.geteuid() == 0
    if superuser:  # whom permissions do not stop
        os.seteuid(65534)
    try:
        with pytest.raises(StoreError, match="you have no permission") as caught:
            store.write_bytes(tmp_path / "x", b"")
    finally:
        if superuser:
            os.seteuid(0)
        tmp_path.chmod(0o700)
    assert str(tmp_path / "x") in str(caught.value)
    assert list(tmp_path.iterdir()) == []


# --- locks

HOLD = """
with store.lock(Path(sys.argv[1]), "another run is at work", wait=True):
    print("held", flush=True)
    time.sleep(60)
"""


def test_a_taken_lock_names_its_holder_and_dies_with_it(tmp_path: Path) -> None:
    path = tmp_path / "new" / "run.lock"
    process = start(HOLD, path)
    told(process, "held")
    says = rf"another run is at work \(process {process.pid}\)\. Wait until"
    with pytest.raises(StoreError, match=says), store.lock(path, "another run is at work", wait=False):
        pytest.fail("two holders at once")
    kill(process)
    with store.lock(path, "another run is at work", wait=False):
        note = json.loads((tmp_path / "new" / "run.lock.holder").read_text())
        assert note["pid"] == os.getpid()


def test_a_note_of_a_process_that_is_gone_is_not_believed(tmp_path: Path) -> None:
    gone = start("pass")
    gone.communicate()
    path = tmp_path / "x.lock"
    with store.lock(path, "taken", wait=False):
        for note, says in [
            (json.dumps({"pid": gone.pid, "host": "not a machine"}), "of another machine"),
            ("{", "taken. Wait"),
            ("[]", "taken. Wait"),
        ]:
            (tmp_path / "x.lock.holder").write_text(note)
            with pytest.raises(StoreError, match=says), store.lock(path, "taken", wait=False):
                pass


def test_waiting_says_so_once_and_then_gets_the_lock(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "x.lock"
    process = start(HOLD.replace("time.sleep(60)", "time.sleep(0.3)"), path)
    told(process, "held")
    with store.lock(path, "another run is at work", wait=True):
        process.communicate()
        assert process.returncode == 0
    assert [record.message.split(" (")[0] for record in caplog.records] == ["another run is at work"]


def test_only_one_of_many_holds_a_lock_over_processes(tmp_path: Path) -> None:
    """Increments of a counter by read, wait, write: any two holders at once would lose one."""
    counter = tmp_path / "counter"
    counter.write_text("0")
    code = """
counter = Path(sys.argv[1])
for _ in range(10):
    with store.lock(counter.with_suffix(".lock"), "busy", wait=True):
        value = int(counter.read_text())
        time.sleep(0.001)
        counter.write_text(str(value + 1))
"""
    processes = [start(code, counter) for _ in range(3)]
    for process in processes:
        _, err = process.communicate()
        assert process.returncode == 0, err
    assert counter.read_text() == "30"


def test_threads_exclude_each_other_too(tmp_path: Path) -> None:
    inside, most = 0, 0

    def work() -> None:
        nonlocal inside, most
        with store.lock(tmp_path / "x.lock", "busy", wait=True):
            inside += 1
            most = max(most, inside)
            time.sleep(0.02)
            inside -= 1

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == 1


# --- digests

PART = st.one_of(
    st.binary(max_size=4),
    st.text(max_size=4),
    st.builds(
        lambda values, kind: np.array(values, dtype=kind),
        st.lists(st.integers(0, 3), max_size=3),
        st.sampled_from(["i1", "i4", "f4", "f8"]),
    ),
)


def identity(part: bytes | str | np.ndarray) -> tuple[object, ...]:
    """What makes two parts the same."""
    if isinstance(part, np.ndarray):
        return ("array", part.dtype.str, part.shape, part.tobytes())
    return (type(part).__name__, part)


@given(st.lists(PART, max_size=4), st.lists(PART, max_size=4))
def test_digests_are_equal_exactly_if_the_parts_are(
    one: list[bytes | str | np.ndarray], two: list[bytes | str | np.ndarray]
) -> None:
    same = list(map(identity, one)) == list(map(identity, two))
    assert (store.digest(*one) == store.digest(*two)) == same


@given(st.lists(st.sampled_from(["", "a", "b", "ab"]), max_size=5), st.data())
def test_digests_see_where_one_string_ends(parts: list[str], data: st.DataObject) -> None:
    """The same characters in the same order, cut elsewhere."""
    whole = "".join(parts)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(whole)), max_size=4)))
    other = [whole[a:b] for a, b in zip([0, *cuts], [*cuts, len(whole)], strict=True)]
    assert (store.digest(*parts) == store.digest(*other)) == (parts == other)


def test_digest_is_the_same_on_every_machine_and_version() -> None:
    """Caches and manifests outlive a version: this encoding must not change unnoticed."""
    array = np.arange(6, dtype="<i8").reshape(2, 3)
    parts = [b"s", b"text", b"b", b"bytes", b"a", b"('<i8', (2, 3))", b"v", array.tobytes()]
    total = hashlib.sha256()
    for kind, content in zip(parts[::2], parts[1::2], strict=True):
        total.update(kind + len(content).to_bytes(8, "little") + content)
    expected = total.hexdigest()
    assert store.digest("text", b"bytes", array) == expected
    assert store.digest("text", b"bytes", np.asfortranarray(array)) == expected
    assert store.digest("text", b"bytes", array.reshape(3, 2)) != expected


def test_digest_of_text_that_is_not_valid_unicode_and_of_what_it_cannot_take() -> None:
    assert store.digest("\ud800") != store.digest("\ud801")
    with pytest.raises(TypeError, match="int"):
        store.digest(1)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="object"):
        store.digest(np.array([{}]))


def test_digest_of_files_and_folders_is_of_their_content(tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    for folder in (one, two):
        (folder / "below").mkdir(parents=True)
        (folder / "below" / "x").write_bytes(b"abc")
        (folder / "y").write_bytes(b"")
    expected = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert store.file_digest(one / "below" / "x") == expected
    assert store.digest(one) == store.digest(two)
    assert store.digest(one / "y") == store.digest(two / "y") != store.digest(one)
    (two / "y").rename(two / "z")
    assert store.digest(one) != store.digest(two)
    with pytest.raises(StoreError, match="not there"):
        store.digest(tmp_path / "absent")


# --- arrays


@pytest.mark.parametrize(
    "array",
    [
        np.arange(12, dtype=np.float32).reshape(3, 4),
        np.asfortranarray(np.arange(12).reshape(3, 4)),
        np.zeros((0, 2), np.float32),
        np.array(1.5),
        np.array(["a", "bcd"]),
        np.arange(500_000, dtype=np.int32)[::2],
    ],
    ids=["plain", "fortran", "empty", "scalar", "text", "strided"],
)
def test_arrays_come_back_as_they_were(tmp_path: Path, array: np.ndarray) -> None:
    path = tmp_path / "a" / "x.npy"
    store.save_array(path, array)
    for loaded in (store.load_array(path), np.load(path)):
        assert loaded is not None
        assert loaded.dtype == array.dtype
        np.testing.assert_array_equal(loaded, array)
    assert store.load_array(tmp_path / "absent.npy") is None


def test_every_damage_to_an_array_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "x.npy"
    store.save_array(path, np.arange(20, dtype=np.float32))
    whole = path.read_bytes()
    for length in (0, 1, 31, 32, 33, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:length])
        assert store.load_array(path) is None, f"cut to {length} bytes"
    for place in range(len(whole)):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        assert store.load_array(path) is None, f"a bit flipped in byte {place}"
    path.write_bytes(whole + b"\0")
    assert store.load_array(path) is None
    np.save(path, np.arange(20))
    assert store.load_array(path) is None, "an array without a digest is not ours"
    with pytest.raises(ValueError, match="Object arrays"):
        store.save_array(path, np.array([{}]))


# --- manifests


def test_a_finished_folder_tells_what_it_is(tmp_path: Path) -> None:
    folder = tmp_path / "cell"
    (folder / "model").mkdir(parents=True)
    (folder / "model" / "weights").write_bytes(b"abc")
    (folder / "notes").write_text("x")
    assert store.finished(folder, "k") is None
    store.finish(folder, {"key": "k", "metrics": {"accuracy": 0.5}})
    manifest = store.finished(folder, "k", verify=True)
    assert manifest is not None
    assert manifest["metrics"] == {"accuracy": 0.5}
    assert manifest["files"]["model/weights"] == {
        "size": 3,
        "sha256": "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
    }
    assert sorted(manifest["files"]) == ["model/weights", "notes"]
    assert store.finished(folder, "other") is None
    assert store.finished(tmp_path / "absent", "k") is None
    store.finish(folder, {"key": "k2"})
    assert store.finished(folder, "k") is None
    assert store.finished(folder, "k2") is not None


def test_a_folder_that_lost_something_is_not_finished(tmp_path: Path) -> None:
    (tmp_path / "weights").write_bytes(b"abc")
    store.finish(tmp_path, {"key": "k"})
    (tmp_path / "weights").write_bytes(b"abd")
    assert store.finished(tmp_path, "k") is not None, "sizes alone cannot see it"
    assert store.finished(tmp_path, "k", verify=True) is None
    (tmp_path / "weights").write_bytes(b"ab")
    assert store.finished(tmp_path, "k") is None
    (tmp_path / "weights").unlink()
    assert store.finished(tmp_path, "k") is None
    for damage in ("", "{", "[]", "null", '{"files": {}}'):
        (tmp_path / "manifest.json").write_text(damage)
        assert store.finished(tmp_path, "k") is None


@pytest.mark.parametrize("manifest", [{}, {"key": 1}, {"key": "k", "files": {}}])
def test_a_manifest_needs_a_key_and_leaves_files_to_us(tmp_path: Path, manifest: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="key"):
        store.finish(tmp_path, manifest)


def test_kill_before_the_manifest_leaves_the_folder_unfinished(tmp_path: Path) -> None:
    code = """
folder = Path(sys.argv[1])
print("go", flush=True)
for turn in range(1000):
    (folder / "weights").write_bytes(bytes(1_000_000 + turn))
    store.finish(folder, {"key": str(turn), "size": 1_000_000 + turn})
"""
    chance = random.Random(1)
    for _ in range(5):
        process = start(code, tmp_path)
        told(process, "go")
        time.sleep(0.03 * chance.random())
        kill(process)
        manifest = tmp_path / "manifest.json"
        if manifest.exists():
            said = json.loads(manifest.read_bytes())
            if store.finished(tmp_path, said["key"], verify=True) is not None:
                assert (tmp_path / "weights").stat().st_size == said["size"]
        manifest.unlink(missing_ok=True)


def test_writing_needs_the_core_dependencies_alone() -> None:
    """`store` must import where only numpy, onnxruntime and click are installed."""
    code = """
heavy = {"torch", "pydantic", "filelock", "platformdirs", "unearth", "transformers", "pyarrow", "scipy"}
print(sorted(heavy & set(sys.modules)))
"""
    out, err = start(code).communicate()
    assert out.strip() == "[]", err


def test_a_line_of_a_log_is_json_whatever_the_loss(tmp_path: Path) -> None:
    with store.append(tmp_path / "log.jsonl") as add:
        add({"loss": float("nan"), "rate": float("inf"), "epoch": 1})
    line = json.loads((tmp_path / "log.jsonl").read_text(encoding="utf-8"), parse_constant=pytest.fail)
    assert (line["loss"], line["rate"], line["epoch"]) == (None, None, 1)
