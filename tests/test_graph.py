"""The look into a network before it is run: what may not be is refused, and what is told of the rest holds."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import onnx
import onnxruntime
import pytest
import tiny_bundle
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

from stepdown.errors import BundleError
from stepdown.runtime import graph
from stepdown.runtime.graph import Batch, bounds, sizes
from stepdown.runtime.graph import onnx as reading
from stepdown.runtime.graph.sizes import AnySize, Size
from stepdown.runtime.graph.steps import steps
from stepdown.runtime.graph.values import Tensor
from tests import every_kind

BATCHES = [Batch(2048, 1), Batch(128, 16)]
node = helper.make_node


def check(made: ModelProto) -> int:
    return graph.check(made.SerializeToString(), BATCHES, "it")


def tiny() -> ModelProto:
    return tiny_bundle.model(*tiny_bundle.weights())


def computing(nodes: Sequence[NodeProto], opset: int = 18, **constants: object) -> ModelProto:
    """The tiny network with more nodes and constants; onnx need not find it right."""
    made = tiny()
    del made.opset_import[:]
    made.opset_import.append(helper.make_opsetid("", opset))
    made.graph.node.extend(nodes)
    made.graph.initializer.extend(
        numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()
    )
    return made


# --- what no bundle may have ------------------------------------------------------------------------------------------


def external(made: ModelProto) -> None:
    tensor = made.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="../../etc/passwd")


def hidden_external(made: ModelProto) -> None:
    tensor = TensorProto(name="t", data_type=1, dims=[1], data_location=TensorProto.EXTERNAL)
    tensor.external_data.add(key="location", value="x")
    made.graph.node.append(node("Constant", [], ["t"], value=tensor))


def branches(made: ModelProto) -> None:
    inner = helper.make_graph([], "inner", [], [])
    made.graph.node.append(node("If", ["zero"], ["x"], then_branch=inner, else_branch=inner))


def custom_domain(made: ModelProto) -> None:
    made.graph.node[0].domain = "evil.ops"


def custom_opset(made: ModelProto) -> None:
    made.opset_import.append(helper.make_opsetid("evil.ops", 1))


def microsoft(made: ModelProto) -> None:
    made.graph.node.append(node("EPContext", [], ["x"], domain="com.microsoft"))


def training(made: ModelProto) -> None:
    made.training_info.add().algorithm.name = "x"


def functions(made: ModelProto) -> None:
    made.functions.add().name = "Gather"


def sparse(made: ModelProto) -> None:
    made.graph.sparse_initializer.add().dims.append(3)


def annotated(made: ModelProto) -> None:
    made.graph.quantization_annotation.add().tensor_name = "table"


def words(made: ModelProto) -> None:
    made.graph.initializer.append(helper.make_tensor("words", TensorProto.STRING, [1], [b"a"]))


def lying(made: ModelProto) -> None:
    made.graph.initializer[0].dims[0] = 1 << 40


def negative(made: ModelProto) -> None:
    made.graph.initializer[0].dims[0] = -1


def deep(made: ModelProto) -> None:
    made.graph.initializer[0].dims.extend([1] * 9)


def other_output(made: ModelProto) -> None:
    made.graph.output[0].name = "mean"
    del made.graph.node[-1]


def other_input(made: ModelProto) -> None:
    made.graph.input.append(helper.make_tensor_value_info("more", TensorProto.INT64, ["texts"]))


def shadowed(made: ModelProto) -> None:
    made.graph.initializer.append(numpy_helper.from_array(np.array([[1]]), "ids"))


def twice(made: ModelProto) -> None:
    made.graph.node.append(node("Identity", ["ids"], ["mean"]))


def unmade(made: ModelProto) -> None:
    made.graph.node[0].input[0] = "nothing"


def backwards(made: ModelProto) -> None:
    made.graph.node.insert(0, made.graph.node.pop())


def missing(made: ModelProto) -> None:
    del made.graph.node[-1]


def lacking(made: ModelProto) -> None:
    made.graph.node.append(node("Identity", [""], ["x"]))


REFUSED: list[tuple[Callable[[ModelProto], None], str]] = [
    (external, "field external_data"),
    (hidden_external, "field external_data"),
    (branches, "field g"),
    (custom_domain, r"domain 'evil\.ops'"),
    (custom_opset, r"domain 'evil\.ops'"),
    (microsoft, r"domain 'com\.microsoft'"),
    (training, "field training_info"),
    (functions, "field functions"),
    (sparse, "field sparse_initializer"),
    (annotated, "field quantization_annotation"),
    (words, "field string_data"),
    (lying, r"numbers of its shape \[1099511627776, 4\]"),
    (negative, r"shape \[-1, 4\]"),
    (deep, r"has the shape \[16, 4, 1"),
    (other_output, "other inputs and outputs"),
    (other_input, "other inputs and outputs"),
    (shadowed, "two of its values are called 'ids'"),
    (twice, "two of its values are called 'mean'"),
    (unmade, "takes 'nothing', which none before it makes"),
    (backwards, "takes 'mean', which none before it makes"),
    (missing, "no node computes 'logits'"),
    (lacking, "its operator Identity lacks an input"),
]


@pytest.mark.parametrize(("change", "says"), REFUSED, ids=lambda value: getattr(value, "__name__", ""))
def test_what_no_classifier_needs_is_refused(change: Callable[[ModelProto], None], says: str) -> None:
    made = tiny()
    check(made)
    change(made)
    with pytest.raises(BundleError, match=says) as caught:
        check(made)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("operator", ["LayerNormalization", "Max", "Min", "Sum"])
def test_inputs_are_left_out_only_where_that_does_no_harm(operator: str) -> None:
    """With an empty name for an input, three of these end a process that runs onnxruntime 1.32."""
    with pytest.raises(BundleError, match=f"its operator {operator} lacks an input"):
        check(computing([node(operator, ["vectors", "vectors", ""], ["more"])]))
    assert check(computing([node("Clip", ["vectors", "", "most"], ["more"])], most=np.float32(1))) > 0


@pytest.mark.parametrize(
    "operator",
    [
        "Loop",
        "Scan",
        "If",
        "RandomNormal",
        "Einsum",
        "SequenceEmpty",
        "StringConcat",
        "Optional",
        "Resize",
        "NoSuch",
    ],
)
def test_operators_that_are_not_listed_are_refused(operator: str) -> None:
    with pytest.raises(BundleError, match=f"the operator '{operator}', which no bundle may"):
        check(computing([node(operator, ["ids"], ["more"])]))


@pytest.mark.parametrize(("ir", "opset"), [(3, 17), (11, 17), (9, 12), (9, 22), (9, 1 << 40)])
def test_versions_that_no_one_looked_at_are_refused(ir: int, opset: int) -> None:
    made = computing([], opset)
    made.ir_version = ir
    with pytest.raises(BundleError, match="expected 4 to 10" if ir in (3, 11) else "expected 13 to 21"):
        check(made)


def encoded(number: int, wire: int, content: bytes = b"") -> bytes:
    return bytes([number << 3 | wire]) + (bytes([len(content)]) + content if wire == 2 else content)


@pytest.mark.parametrize(
    ("more", "says"),
    [
        (encoded(15, 2, b"new"), "has the field 15"),
        (encoded(7, 2, b""), "field graph twice"),
        (encoded(1, 0, b"\x08"), "field ir_version twice"),
        (encoded(7, 0, b"\x01"), "graph is no graph"),
        (encoded(2, 3) + encoded(2, 4), "producer_name of its model is encoded in another way"),
        (encoded(6, 1, b"12345678"), "doc_string of its model is encoded in another way"),
        (b"\x80" * 11 + b"\x00", "a number of it is too long"),
        (b"\xff" * 9 + b"\x7f", "a number of it is too long"),
        (encoded(2, 2, b"four")[:-1], "it ends too soon"),
        (b"\x12", "it ends too soon"),
        (b"\x12\xff\xff\xff\xff\x0f", "it ends too soon"),
    ],
)
def test_what_other_readers_would_skip_or_merge_is_refused(more: bytes, says: str) -> None:
    """What is looked at and what is run must be the same."""
    with pytest.raises(BundleError, match=says):
        graph.check(tiny().SerializeToString() + more, BATCHES, "it")


def test_millions_of_fields_are_not_read() -> None:
    made = tiny()
    many = made.SerializeToString() + encoded(14, 2) * 270_000
    with pytest.raises(BundleError, match="more than 262,144 fields"):
        graph.check(many, BATCHES, "it")
    made.graph.initializer.append(TensorProto(name="x", data_type=1, dims=[1] * 270_000))
    with pytest.raises(BundleError, match="more than 262,144 fields"):
        check(made)
    made = computing([node("Identity", ["ids"], [f"x{index}"]) for index in range(10_001)])
    with pytest.raises(BundleError, match="10,014 nodes"):
        check(made)


# --- memory and work --------------------------------------------------------------------------------------------------

BIG = 1 << 40


def chain(*said: str, **attributes: object) -> list[NodeProto]:
    """Nodes as `Operator inputs > outputs`; the attributes are the last one's."""
    nodes = []
    for one in said:
        before, outputs = one.split(">")
        operator, *inputs = before.split()
        nodes.append(node(operator, inputs, outputs.split()))
    last = nodes[-1]
    last.attribute.extend(helper.make_attribute(name, value) for name, value in attributes.items())
    return nodes


TO_FLOAT, TO_WHOLE, TO_BYTE = (
    node("Cast", [name], [f"{name}_"], to=to) for name, to in (("c", 1), ("long", 7), ("s", 3))
)
TURNED = node("Transpose", ["l3"], ["l"], perm=[1, 0, 2])
EXPENSIVE: dict[str, list[NodeProto]] = {
    "ConstantOfShape": chain("ConstantOfShape big > x"),
    "Expand": chain("Expand cell big2 > x"),
    "Tile": chain("Tile cell big2 > x"),
    "Range": chain("Range from to by > x"),
    "Pad": chain("Pad cell pads > x"),
    "outer sum": chain("Transpose long > row", "Add long row > x"),
    "outer product": chain("Transpose long > row", "MatMul long row > x"),
    "outer Gemm": chain("Gemm long long > x", transB=1),
    "doubling": chain("Identity long > d0", *(f"Concat d{n} d{n} > d{n + 1}" for n in range(40))),
    "Gather": [TO_WHOLE, *chain("Gather long long_ > x", axis=1)],
    "a shape of a shape": chain("Shape long > s", "Mul s s > s2", "ConstantOfShape s2 > x"),
    "of each text": [
        *chain("Unsqueeze lengths axis1 > c"),
        TO_FLOAT,
        *chain("MatMul c_ wide > w", "Mul w w > x"),
    ],
    "of each three texts": chain(
        "Unsqueeze lengths axis1 > c", "Add c lengths > bb", "Unsqueeze bb axis2 > b1", "Add b1 lengths > x"
    ),
    "Conv": chain("Unsqueeze long axis0 > l3", "Conv l3 kernels > x", pads=[BIG, BIG]),
    "GRU": [*chain("Unsqueeze long axis0 > l3"), TURNED, *chain("GRU l W R > x", hidden_size=2_000)],
}
for step in EXPENSIVE["doubling"][1:]:
    step.attribute.append(helper.make_attribute("axis", 0))
CONSTANTS: dict[str, object] = {
    "big": [BIG],
    "big2": [1 << 20, 1 << 20],
    "cell": np.ones((1, 1), np.float32),
    "long": np.ones((20_000, 1), np.float32),
    "from": 0,
    "to": BIG,
    "by": 1,
    "pads": [0, 0, BIG, 1],
    "axis0": [0],
    "wide": np.ones((1, 50_000), np.float32),
    "kernels": np.ones((1, 20_000, 3), np.float32),
    "W": np.zeros((1, 6_000, 1), np.float32),
    "R": np.zeros((1, 6_000, 2_000), np.float32),
}


@pytest.mark.parametrize("name", EXPENSIVE)
def test_what_asks_for_more_than_it_holds_is_refused(name: str) -> None:
    """Files of a few kilobytes that would fill gigabytes."""
    used = {part for one in EXPENSIVE[name] for part in one.input}
    made = computing(EXPENSIVE[name], **{key: CONSTANTS[key] for key in used & CONSTANTS.keys()})
    with pytest.raises(
        BundleError, match=r"MB .* are allowed|products .* are allowed|larger than any memory"
    ):
        check(made)


def test_work_without_memory_is_refused() -> None:
    """Four hundred products of matrices that fit a small memory, and take minutes."""
    square = np.ones((1500, 1500), np.float32)
    nodes = chain(*(f"MatMul m{n} m0 > m{n + 1}" for n in range(400)))
    with pytest.raises(BundleError, match=r"computes 1\.4e\+12 products when it is loaded"):
        check(computing(nodes, m0=square))
    nodes = [node("Cast", ["ids"], ["f"], to=1), *chain("ReduceSum f > s", "Add s square > m0"), *nodes]
    with pytest.raises(BundleError, match=r"computes 1\.4e\+12 products when it is tried out"):
        check(computing(nodes, square=square))


UNKNOWN = {
    "lengths": chain("ConstantOfShape lengths > x"),
    "a number of words": chain("ReduceMax lengths > s", "Range from s by > x"),
    "what falls as texts grow": chain("Sub big s > s1", "ConstantOfShape s1 > x"),
    "ids": chain("Expand cell ids > x"),
    "what overflows": [TO_BYTE, node("Cast", ["s_"], ["s1"], to=7), *chain("ConstantOfShape s1 > x")],
    "what ids say": chain("Gather big2 ids > s1", "Reshape ids s1 > x"),
}


@pytest.mark.parametrize("name", UNKNOWN)
def test_what_cannot_be_told_is_refused(name: str) -> None:
    """Sizes that go by what the texts say, or that may be larger where texts are fewer."""
    before = chain("Shape ids > s0", "Slice s0 start to1 > s") if name != "a number of words" else []
    more = {key: CONSTANTS[key] for key in ("big", "big2", "cell", "from", "by")} | {"start": [1], "to1": [2]}
    with pytest.raises(BundleError, match="not known before it runs"):
        check(computing([*before, *UNKNOWN[name]], **more))


@pytest.mark.parametrize("divisor", ["minus", "zero_", "lengths", "long_list", "small"])
@pytest.mark.parametrize("operator", ["Div", "Mod"])
def test_whole_numbers_are_divided_by_known_ones_alone(operator: str, divisor: str) -> None:
    """onnxruntime 1.32 divides the lowest number by −1, and then the process is gone."""
    constants = {"minus": -1, "zero_": 0, "long_list": np.arange(1, 41), "small": np.array(3, np.int8)}
    nodes = [node(operator, ["ids", divisor], ["x"])]
    with pytest.raises(BundleError, match="divides whole numbers by what may be no positive number"):
        check(computing(nodes, **{key: value for key, value in constants.items() if key == divisor}))
    check(computing([node(operator, ["ids", "three"], ["x"])], three=3))
    check(computing([node(operator, ["mean", "half"], ["x"])], half=np.array(-0.5, np.float32)))


@pytest.mark.parametrize("axis", [0, 1])
def test_a_recurrent_layer_is_never_given_nothing(axis: int) -> None:
    """onnxruntime 1.32 ends the process for no texts, or none of their words."""
    nodes = [
        node("Slice", ["vectors", "first_", "lengths", "along"], ["part"]),
        node("GRU", ["part", "W", "R"], ["x"], hidden_size=1),
    ]
    weights = {"W": np.zeros((1, 3, tiny_bundle.WIDTH), np.float32), "R": np.zeros((1, 3, 1), np.float32)}
    with pytest.raises(BundleError, match="it may be given no word at all"):
        check(computing(nodes, first_=[0], along=[axis], **weights))
    check(computing([node("GRU", ["vectors", "W", "R"], ["x"], hidden_size=1)], **weights))


@settings(max_examples=300)
@given(st.data())
def test_the_look_survives_anything(data: st.DataObject) -> None:
    content = bytearray(tiny().SerializeToString())
    for _ in range(data.draw(st.integers(1, 8))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    for made in (bytes(content), data.draw(st.binary(max_size=200))):
        try:
            graph.check(made, BATCHES, "it")
        except BundleError as error:
            assert "\n" not in str(error)  # noqa: PT017


# --- what is told holds -----------------------------------------------------------------------------------------------


def told(content: bytes) -> dict[str, Tensor]:
    """What is known of each value that a node computes."""
    found: dict[str, Tensor] = {}
    for step in steps(reading.read(content)):
        found |= {name: one for name, one in zip(step.node.outputs, step.outputs, strict=False) if name}
    return found


def computed(content: bytes, names: Sequence[str], texts: int, length: int) -> list[np.ndarray]:
    """What onnxruntime computes of random ids."""
    made = onnx.load_from_string(content)
    del made.graph.output[:]
    types = {name: one.type for name, one in told(content).items()}
    made.graph.output.extend(helper.make_tensor_value_info(name, types[name], None) for name in names)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(
        made.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    random = np.random.default_rng(texts * 100 + length)
    lengths = random.integers(1, length + 1, texts)
    lengths[0] = length
    given = {"ids": random.integers(0, 8, (texts, length)), "lengths": lengths}
    return list(session.run(list(names), given))


def holds(size: AnySize, real: int, texts: int, length: int) -> bool:
    bound = sizes.at(size, texts, length)
    return sizes.least(size) <= real <= bound and (real == bound or not sizes.is_exact(size))


@pytest.mark.parametrize("name", every_kind.KINDS)
def test_shapes_types_and_sizes_are_as_told(name: str) -> None:
    """Every value of every kind of network, in batches of several shapes."""
    content = every_kind.packed(name).files["model.onnx"]
    known = told(content)
    for texts, length in ((1, 1), (1, 2), (3, 7), (1, 24), (5, 9)):
        for value, real in zip(known, computed(content, list(known), texts, length), strict=True):
            tensor = known[value]
            assert len(tensor.dims) == real.ndim, value
            assert all(holds(*pair, texts, length) for pair in zip(tensor.dims, real.shape, strict=True)), (
                value
            )
            assert real.size <= sizes.at(tensor.size, texts, length), value
            assert helper.np_dtype_to_tensor_dtype(real.dtype) == tensor.type, value
            if tensor.numbers is not None:
                for number, one in zip(tensor.numbers, real.reshape(-1).tolist(), strict=True):
                    assert number is None or number == one or holds(number, one, texts, length), value
            assert tensor.least is None or real.size == 0 or real.min() >= tensor.least, value


@pytest.mark.parametrize("name", every_kind.KINDS)
def test_an_honest_network_is_far_from_the_limits(name: str) -> None:
    made = every_kind.packed(name)
    content = made.files["model.onnx"]
    needs = graph.check(content, [Batch(2048, 1), Batch(2048 // 24, 24)], name)
    assert 0 < needs < 100 * 2**20
    held = bounds._BYTES_PER_BATCH + bounds._BYTES_PER_BYTE * len(content)
    assert needs < held / 4


# --- sizes ------------------------------------------------------------------------------------------------------------

terms = st.dictionaries(
    st.tuples(st.integers(0, 2), st.integers(0, 2)), st.integers(1, 50), min_size=1, max_size=3
)
polynomials = st.builds(
    lambda parts: Size(tuple(sorted((i, j, count) for (i, j), count in parts.items()))), terms
)
any_size = st.one_of(st.integers(0, 50), polynomials)
counts = st.integers(1, 300)


@given(any_size, any_size, counts, counts)
def test_sums_products_and_bounds_of_sizes(one: AnySize, other: AnySize, texts: int, length: int) -> None:
    a, b = (sizes.at(size, texts, length) for size in (one, other))
    assert sizes.at(sizes.plus(one, other), texts, length) == a + b
    assert sizes.at(sizes.product([one, other]), texts, length) == a * b
    assert sizes.at(sizes.most(one, other), texts, length) >= max(a, b)
    assert sizes.at(sizes.bound(one), texts, length) == a
    assert sizes.least(one) <= a
    product = sizes.product([one, other])
    back = sizes.quotient(product, other)
    assert back is None or sizes.at(back, texts, length) * b == a * b
    if isinstance(other, int) and other:
        assert back is not None


@given(polynomials, st.integers(1, 4096), st.integers(1, 4096))
def test_no_batch_is_larger_than_both_of_the_largest(size: Size, texts: int, length: int) -> None:
    most = texts * length
    assert sizes.at(size, texts, length) <= max(sizes.at(size, most, 1), sizes.at(size, 1, most))


def test_what_grows_too_fast_is_no_size() -> None:
    fast = Size(((3, 3, 1),))
    for grow in (
        lambda: sizes.product([fast, fast, fast]),
        lambda: sizes.product([1 << 40, 1 << 40]),
        lambda: sizes.product([1 << 40, Size(((1, 0, 1 << 40),))]),
        lambda: sizes.plus(1 << 62, 1),
    ):
        with pytest.raises(ValueError, match="it makes tensors"):
            grow()
