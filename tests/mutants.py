"""Bundles as a stranger might make them: good ones of every kind, changed at random in their bytes and what they say.

What is changed inside a file gets checksums and a digest that fit again, so that it reaches what reads that file.
"""

from __future__ import annotations

import copy
import hashlib
import json
import re
import struct
import zipfile
from collections.abc import Callable, Mapping
from contextlib import suppress
from io import BytesIO
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
from onnx import AttributeProto, ModelProto, NodeProto, TensorProto, ValueInfoProto, helper, numpy_helper

from stepdown.runtime.graph.operators import RULES

Files = dict[str, bytes]
"""The files of a bundle by name, bundle.json among them."""

CANARY = "canary"
"""A file beside which mutants are read, and which none of them may touch."""

WHOLE = [
    0,
    1,
    -1,
    2,
    3,
    7,
    8,
    16,
    127,
    128,
    255,
    256,
    1 << 15,
    1 << 16,
    1 << 31,
    (1 << 31) - 1,
    -(1 << 31),
    1 << 32,
]
WHOLE += [1 << 40, (1 << 62) + 1, (1 << 63) - 1, -(1 << 63)]
NUMBERS = [0.0, -0.0, 1.0, -1.0, 1e-45, 1e-7, 1e7, 3e38, -3e38, float("inf"), float("-inf"), float("nan")]
NAMES = [
    "../x",
    "/etc/passwd",
    "a/b",
    "a\\b",
    "C:x",
    ".",
    "..",
    "",
    "x" * 300,
    "é",
    "\x00",
    "bundle.json",
    CANARY,
]
WORDS = [
    "",
    " ",
    "a",
    "\x00",
    "\ud800",
    "😂",
    "x" * 5000,
    "[UNK]",
    "##a",
    "../x",
    "NaN",
    "true",
    "\u202e",
    "'\"",
    "‮",
]


def mutant(files: Files, random: Random) -> tuple[str, bytes | Files]:
    """What was done, and the bytes of an archive or the files of a folder."""
    form = random.choice(["folder", "file", "file"])
    done = []
    files = dict(files)
    for _ in range(random.choice([1, 1, 1, 2, 3])):
        change = random.choice(CONTENTS)
        done.append(change.__name__.strip("_"))
        with suppress(RecursionError, ValueError, IndexError):  # of what was changed too much before
            files = change(files, random)
    if form == "folder":
        return f"folder: {' '.join(done)}", files
    if random.random() < 0.3:
        change_of_archive = random.choice(ARCHIVES)
        return f"archive: {change_of_archive.__name__.strip('_')}", change_of_archive(files, random)
    return f"file: {' '.join(done)}", packed(files)


def packed(files: Mapping[str, bytes]) -> bytes:
    """A plain archive."""
    target = BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(_dated(name), content, zipfile.ZIP_DEFLATED)
    return target.getvalue()


def _dated(name: str) -> zipfile.ZipInfo:
    """An entry of one fixed time, so that a seed makes the same bytes whenever it is used."""
    entry = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))
    entry.external_attr = 0o600 << 16
    return entry


def written(made: bytes | Files, folder: Path) -> Path:
    """A mutant on the disk, within a folder that is there."""
    if isinstance(made, bytes):
        (folder / "b.stepdown").write_bytes(made)
        return folder / "b.stepdown"
    (folder / "b").mkdir()
    for name, content in made.items():
        if "/" not in name and "\x00" not in name and name not in ("", ".", ".."):
            (folder / "b" / name[:200]).write_bytes(content)
    return folder / "b"


# --- the bytes of a file ----------------------------------------------------------------------------------------------


def scrambled(content: bytes, random: Random) -> bytes:
    """Some bytes changed, left out, or put in."""
    found = bytearray(content)
    for _ in range(random.choice([1, 1, 2, 3, 8])):
        at = random.randrange(len(found) + 1)
        kind = random.randrange(5)
        if kind == 0:
            found[at : at + 1] = bytes([random.randrange(256)])
        elif kind == 1 and at < len(found):
            found[at] ^= 1 << random.randrange(8)
        elif kind == 2:
            del found[at : at + random.choice([1, 4, 30, 300])]
        elif kind == 3:
            found[at:at] = random.randbytes(random.choice([1, 4, 30]))
        else:
            start = random.randrange(len(found) + 1)
            found[at:at] = found[start : start + random.choice([1, 8, 64, 300])]
    return bytes(found[: random.randrange(len(found) + 1)]) if random.random() < 0.1 else bytes(found)


def renewed(files: Mapping[str, bytes]) -> Files:
    """The files with checksums and a digest that fit."""
    try:
        about = json.loads(files["bundle.json"])
        about["files"] = {}
    except (ValueError, TypeError, KeyError, RecursionError):  # it was changed before
        return dict(files)
    about["files"] = {
        name: {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
        for name, content in files.items()
        if name != "bundle.json"
    }
    return {**files, "bundle.json": sealed(about)}


def sealed(about: Any) -> bytes:
    """A bundle.json with a digest that fits, if it has one."""
    if isinstance(about, dict) and "digest" in about:
        about = {**about, "digest": "0" * 64}
    text = dumped(about, indent=2)
    return text.replace(b"0" * 64, hashlib.sha256(text).hexdigest().encode(), 1)


def _raw(files: Files, random: Random) -> Files:
    """Any file, its checksum left as it was."""
    name = random.choice([*files] or ["README.md"])
    return {**files, name: scrambled(files.get(name, b""), random)}


def _bytes(files: Files, random: Random) -> Files:
    name = random.choice([name for name in files if name != "bundle.json"] or ["README.md"])
    files = {name: b"", **files}
    return renewed({**files, name: scrambled(files[name], random)})


def _missing(files: Files, random: Random) -> Files:
    left = dict(files)
    left.pop(random.choice([*files, ""]), None)
    return left if random.random() < 0.5 or "bundle.json" not in left else renewed(left)


def _swapped(files: Files, random: Random) -> Files:
    """The content of one file in another's place."""
    names = [name for name in files if name != "bundle.json"]
    return renewed({**files, random.choice([*names, "more"]): files.get(random.choice([*files, ""]), b"")})


# --- JSON -------------------------------------------------------------------------------------------------------------


BRACKETS = {"0": ("[", "]"), "1": ('{"a":', "}")}


def dumped(document: Any, indent: int | None = None) -> bytes:
    """JSON, in which `value` may have left the sign for something that is nested deeply."""

    def deep(sign: re.Match[str]) -> str:
        depth, (before, after) = int(sign[1]), BRACKETS[sign[2]]
        return before * depth + "1" + after * depth

    return re.sub(r'"@@(\d+) (\d)@@"', deep, json.dumps(document, indent=indent)).encode()


def value(random: Random) -> Any:
    """Anything that JSON can say, and some that it should not."""
    kind = random.randrange(8)
    if kind == 0:
        return random.choice(WHOLE)
    if kind == 1:
        return random.choice(NUMBERS)
    if kind == 2:
        return random.choice(WORDS + NAMES)
    if kind == 3:
        return random.choice([None, True, False, [], {}, [[]], {"": None}, "words", "huggingface", 10**4000])
    if kind == 4:
        return f"@@{random.choice([3, 30, 500, 900, 960, 990, 100_000])} {random.randrange(2)}@@"
    if kind == 5:
        return [value(random) for _ in range(random.randrange(4))]
    if kind == 6:
        return {random.choice(WORDS + NAMES): value(random) for _ in range(random.randrange(4))}
    return random.choice([["a"] * 1000, list(range(1000)), "x" * 100_000])


def changed(document: Any, random: Random) -> Any:
    """A JSON document with one thing in it changed, left out or put in."""
    document = copy.deepcopy(document)
    place, depth = document, 0
    while isinstance(place, dict | list) and place:
        key = random.choice(list(place) if isinstance(place, dict) else range(len(place)))
        inner = place[key]
        if not isinstance(inner, dict | list) or not inner or random.random() < 0.3:
            kind = random.randrange(5)
            if kind == 0:
                del place[key]
            elif kind == 1 and isinstance(place, dict):
                place[random.choice(WORDS + NAMES)] = place.pop(key)
            elif kind == 2 and isinstance(inner, str | list):
                place[key] = inner[: random.randrange(len(inner) + 1)] * random.choice([1, 2])
            elif kind == 2 and isinstance(inner, int | float) and not isinstance(inner, bool):
                place[key] = inner + random.choice([-1, 1, 100])
            else:
                place[key] = value(random)
            return document
        place, depth = inner, depth + 1
    return value(random)


def _said(files: Files, random: Random) -> Files:
    """What bundle.json says, with a digest that fits."""
    try:
        document = json.loads(files["bundle.json"])
    except (ValueError, KeyError, RecursionError):  # it was changed before
        return files
    return {**files, "bundle.json": sealed(changed(document, random))}


def _said_twice(files: Files, random: Random) -> Files:
    lines = files.get("bundle.json", b"").split(b"\n")
    lines.insert(random.randrange(len(lines)), lines[random.randrange(len(lines))])
    text = b"\n".join(lines)
    start = text.find(b'"digest": "') + len(b'"digest": "')
    zeros = text[:start] + b"0" * 64 + text[start + 64 :]
    return {
        **files,
        "bundle.json": text[:start] + hashlib.sha256(zeros).hexdigest().encode() + text[start + 64 :],
    }


def _tokenizer(files: Files, random: Random) -> Files:
    """What a file of the tokenizer says."""
    names = [name for name in files if name.endswith((".json", ".txt")) and name != "bundle.json"]
    name = random.choice(names or ["vocab.txt"])
    if name.endswith(".json"):
        try:
            document = json.loads(files[name])
        except (ValueError, RecursionError):
            return files
        for _ in range(random.choice([1, 1, 3])):
            document = changed(document, random)
        content = dumped(document)
    else:
        lines = files.get(name, b"").decode("utf-8", "replace").split("\n")
        for _ in range(random.choice([1, 1, 5])):
            at = random.randrange(len(lines) + 1)
            lines[at : at + random.choice([0, 1, 1, 2])] = random.choice(
                [[], [random.choice(WORDS)], lines[:3], ["#"] * 99]
            )
        content = "\n".join(lines).encode("utf-8", "surrogatepass")
    return renewed({**files, name: content})


# --- the network ------------------------------------------------------------------------------------------------------

BARRED = [
    "Loop",
    "If",
    "Scan",
    "Einsum",
    "RandomNormal",
    "StringNormalizer",
    "SequenceConstruct",
    "TopK",
    "LSTM",
]
OPERATORS = [*RULES, *BARRED]
ATTRIBUTES = """
axis axes keepdims perm to hidden_size direction linear_before_reset layout group kernel_shape pads strides dilations
transA transB start end value value_ints allowzero batch_dims num_outputs mode fmod epsilon noop_with_empty_axes
"""


def _network(files: Files, random: Random) -> Files:
    made = ModelProto()
    try:
        made.ParseFromString(files.get("model.onnx", b""))
    except Exception:  # it was changed before, and is none
        return files
    if not made.graph.node or not made.graph.initializer:
        return files
    for _ in range(random.choice([1, 1, 1, 2, 4])):
        random.choice(NETWORKS)(made, random)
    return renewed({**files, "model.onnx": made.SerializeToString()})


def _names(made: ModelProto) -> list[str]:
    found = [one.name for one in made.graph.initializer] + ["ids", "lengths", "", "nothing"]
    return found + [name for one in made.graph.node for name in one.output]


def _before(made: ModelProto, at: int, random: Random) -> str:
    """Mostly the name of a value that is there before the node of that number."""
    if random.random() < 0.1:
        return random.choice(_names(made))
    found = [one.name for one in made.graph.initializer] + ["ids", "lengths"]
    return random.choice(found + [name for one in list(made.graph.node)[:at] for name in one.output])


def _operator(made: ModelProto, random: Random) -> None:
    random.choice(made.graph.node).op_type = random.choice(OPERATORS)


def _wires(made: ModelProto, random: Random) -> None:
    at = random.randrange(len(made.graph.node))
    one, name = made.graph.node[at], random.choice(["", *[_before(made, at, random)] * 9])
    if one.input and random.random() < 0.7:
        one.input[random.randrange(len(one.input))] = name
    elif random.random() < 0.5:
        one.input.append(name)
    elif one.input:
        del one.input[random.randrange(len(one.input))]


def _outputs(made: ModelProto, random: Random) -> None:
    one = random.choice(made.graph.node)
    one.output.append(f"more{random.randrange(99)}") if random.random() < 0.5 else one.output.pop()


def _more(made: ModelProto, random: Random) -> None:
    """A node more, on the way of what is computed."""
    at = random.randrange(len(made.graph.node) + 1)
    one = NodeProto(op_type=random.choice(OPERATORS), output=[f"new{random.randrange(999)}"])
    one.input.extend(_before(made, at, random) for _ in range(random.choice([1, 1, 2, 2, 3, 4])))
    for _ in range(random.choice([0, 0, 1, 2])):
        one.attribute.append(_any_attribute(random))
    made.graph.node.insert(at, one)
    if at + 1 < len(made.graph.node):
        after = random.choice(list(made.graph.node)[at + 1 :])
        if after.input:
            after.input[random.randrange(len(after.input))] = one.output[0]


def _order(made: ModelProto, random: Random) -> None:
    nodes = made.graph.node
    moved = nodes.pop(random.randrange(len(nodes)))
    if random.random() < 0.7:
        nodes.insert(random.randrange(len(nodes) + 1), moved)


def _any_attribute(random: Random) -> AttributeProto:
    name = random.choice(ATTRIBUTES.split())
    kind = random.randrange(5)
    if kind == 0:
        return helper.make_attribute(name, [random.choice(WHOLE) for _ in range(random.randrange(1, 7))])
    if kind == 1:
        return helper.make_attribute(
            name, random.choice(["bidirectional", "reflect", "SAME_UPPER", "wrap", "x"])
        )
    if kind == 2:
        return helper.make_attribute(name, numpy_helper.from_array(_array(random), "t"))
    if kind == 3:
        return helper.make_attribute(name, float(random.choice(NUMBERS)))
    return helper.make_attribute(name, random.choice([*WHOLE[:10], random.choice(WHOLE)]))


def _attribute(made: ModelProto, random: Random) -> None:
    nodes = [one for one in made.graph.node if one.attribute]
    one = random.choice(nodes or list(made.graph.node))
    if not one.attribute or random.random() < 0.3:
        one.attribute.append(_any_attribute(random))
        return
    at = random.randrange(len(one.attribute))
    held = one.attribute[at]
    if random.random() < 0.2:
        del one.attribute[at]
    elif held.type == AttributeProto.INT:
        held.i = random.choice(WHOLE)
    elif held.ints:
        held.ints[random.randrange(len(held.ints))] = random.choice(WHOLE)
    else:
        held.type = random.randrange(15)


def _array(random: Random) -> np.ndarray:
    shape = [random.choice([0, 1, 1, 2, 3, 9]) for _ in range(random.randrange(4))]
    if random.random() < 0.5:
        return np.array([random.choice(WHOLE) for _ in range(int(np.prod(shape)))], np.int64).reshape(shape)
    return np.array([random.choice(NUMBERS) for _ in range(int(np.prod(shape)))], np.float32).reshape(shape)


def _constant(made: ModelProto, random: Random) -> None:
    at = random.randrange(len(made.graph.initializer))
    held = made.graph.initializer[at]
    kind = random.randrange(7)
    try:
        values = numpy_helper.to_array(held).copy()
    except Exception:  # it was changed before, and is none
        return
    if kind == 0 and values.size:
        flat = values.reshape(-1)
        extreme = random.choice(WHOLE[:18] if values.dtype.kind in "iub" else NUMBERS)
        flat[random.randrange(flat.size)] = np.array(extreme).astype(values.dtype)
    elif kind == 1:
        values = np.full_like(values, random.choice([0, 1, -1] if values.dtype.kind != "b" else [0, 1]))
    elif kind == 2 and values.ndim:
        axis = random.randrange(values.ndim)
        values = np.take(values, range(random.randrange(values.shape[axis] + 1)), axis)
    elif kind == 3:
        values = values.reshape(-1) if random.random() < 0.5 else values[None]
    elif kind == 4:
        values = values.astype(
            random.choice([np.float32, np.float64, np.float16, np.int64, np.int32, np.int8, np.bool_])
        )
    elif kind == 5:
        values = _array(random)
    else:
        if held.dims:
            held.dims[random.randrange(len(held.dims))] = random.choice(WHOLE)
        else:
            held.dims.append(random.choice(WHOLE))
        return
    made.graph.initializer[at].CopyFrom(numpy_helper.from_array(np.ascontiguousarray(values), held.name))


def _shape_of_it(made: ModelProto, random: Random) -> None:
    """Inputs, outputs, and what is said of values in between."""
    kind = random.randrange(5)
    graph = made.graph
    if kind == 0:
        graph.value_info.append(
            helper.make_tensor_value_info(
                random.choice(_names(made)),
                random.choice([1, 7, 9, 6]),
                [random.choice(WHOLE) for _ in range(2)],
            )
        )
        return
    one: ValueInfoProto = random.choice([*graph.input, *graph.output])
    if kind == 1:
        one.name = random.choice(_names(made))
    elif kind == 2:
        one.type.tensor_type.elem_type = random.randrange(24)
    elif kind == 3 and one.type.tensor_type.shape.dim:
        random.choice(one.type.tensor_type.shape.dim).dim_value = random.choice(WHOLE)
    else:
        one.type.tensor_type.shape.dim.add().dim_param = "more"


def _outside(made: ModelProto, random: Random) -> None:
    """Data in other files."""
    held = random.choice(made.graph.initializer)
    held.ClearField("raw_data")
    held.data_location = TensorProto.EXTERNAL
    held.external_data.add(
        key="location", value=random.choice([CANARY, f"../{CANARY}", "/etc/passwd", "model.onnx"])
    )
    if random.random() < 0.5:
        held.external_data.add(key="length", value=str(random.choice(WHOLE)))


def _version(made: ModelProto, random: Random) -> None:
    kind = random.randrange(5)
    if kind == 0:
        made.ir_version = random.choice(WHOLE)
    elif kind == 1:
        made.opset_import[0].version = random.choice([*range(1, 26), *WHOLE])
    elif kind == 2:
        made.opset_import.add(domain=random.choice(["com.microsoft", "ai.onnx.ml", "x"]), version=1)
    elif kind == 3:
        random.choice(made.graph.node).domain = random.choice(["com.microsoft", "ai.onnx", "x"])
    else:
        made.functions.add(name="Gather", domain="", node=[random.choice(made.graph.node)])


def _large(made: ModelProto, random: Random) -> None:
    """Something that would be large, or take long."""
    name = random.choice([one for one in _names(made) if one])
    size = random.choice([1 << 12, 1 << 16, 1 << 20, 1 << 31, 1 << 40])
    made.graph.initializer.append(
        numpy_helper.from_array(np.array([size, size, 2][: random.choice([1, 2, 3])]), "large")
    )
    operator = random.choice(
        ["ConstantOfShape", "Expand", "Tile", "Reshape", "Range", "Pad", "MatMul", "Gather", "Add"]
    )
    inputs = {"ConstantOfShape": ["large"], "Range": ["zero", "large", "one"]}.get(operator, [name, "large"])
    made.graph.node.insert(0, NodeProto(op_type=operator, input=inputs, output=["huge"]))
    after = random.choice(made.graph.node)
    if after.input:
        after.input[0] = "huge"


CONTENTS: list[Callable[[Files, Random], Files]] = [
    _raw, _bytes, _bytes, _missing, _swapped, _said, _said, _said_twice, _tokenizer, _tokenizer, *[_network] * 12,
]  # fmt: skip
NETWORKS: list[Callable[[ModelProto, Random], None]] = [
    _operator, _wires, _wires, _outputs, _more, _more, _order, _attribute, _attribute, _constant, _constant, _constant,
    _shape_of_it, _outside, _version, _large,
]  # fmt: skip


# --- archives ---------------------------------------------------------------------------------------------------------


def _scrambled(files: Files, random: Random) -> bytes:
    return scrambled(packed(files), random)


def _truncated(files: Files, random: Random) -> bytes:
    made = packed(files)
    return made[: random.randrange(len(made))]


def _headers(files: Files, random: Random) -> bytes:
    """Numbers in the records of an archive."""
    made = bytearray(packed(files))
    for _ in range(random.choice([1, 1, 2, 4])):
        signature = random.choice([b"PK\3\4", b"PK\1\2", b"PK\1\2", b"PK\5\6"])
        places = [at for at in range(len(made) - 22) if made[at : at + 4] == signature]
        if signature == b"PK\5\6":
            places = [made.rfind(signature)]
        if not places or places[0] < 0:
            continue
        at = random.choice(places) + random.randrange(4, 46)
        size = random.choice([1, 2, 4])
        number = random.choice(
            [0, 1, 0xFF, 0xFFFF, 0xFFFFFFFF, random.randrange(1 << 32), len(made), len(made) - 22]
        )
        made[at : at + size] = struct.pack("<Q", number)[:size]
    return bytes(made)


def _entries(files: Files, random: Random) -> bytes:
    """More entries, of other names, kinds and methods."""
    target = BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            method = random.choice(
                [zipfile.ZIP_DEFLATED] * 6 + [zipfile.ZIP_STORED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA]
            )
            archive.writestr(_dated(name), content, method)
        for _ in range(random.choice([0, 1, 2, 40])):
            name = random.choice([*NAMES, *files])
            entry = zipfile.ZipInfo(name.replace("\x00", "\x01") or "x")
            entry.external_attr = random.choice([0, 0o120777 << 16, 0o040755 << 16, 0o010644 << 16])
            archive.writestr(
                entry, random.choice([b"", b"/etc/passwd", bytes(1 << 16)]), zipfile.ZIP_DEFLATED
            )
        archive.comment = random.choice([b"", b"", b"PK\5\6", b"x" * 100])
    return target.getvalue()


def _bomb(files: Files, random: Random) -> bytes:
    """Zeros that unpack to a thousand times their size, promised as they are."""
    name = random.choice(["README.md", "model.onnx", "words.json", "vocab.txt", "more"])
    return packed(renewed({**files, name: bytes(random.choice([1 << 20, 1 << 22, 1 << 24]))}))


def _around(files: Files, random: Random) -> bytes:
    """Something before or behind the archive."""
    more = random.choice([b"x", b"PK\3\4", random.randbytes(40), packed({"a": b"b"})])
    made = packed(files)
    return more + made if random.random() < 0.5 else made + more


ARCHIVES: list[Callable[[Files, Random], bytes]] = [
    _scrambled,
    _truncated,
    _headers,
    _headers,
    _entries,
    _bomb,
    _around,
]
