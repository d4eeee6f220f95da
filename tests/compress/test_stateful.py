"""A model with a variable: what reads and writes it stays float, the rest is quantized."""

from pathlib import Path

import numpy as np
import pytest

from sanderling.graph.graph import Graph, Model, Node, Signature, Tensor
from sanderling.graph.types import DType, TensorType
from sanderling.tflite import read
from tests.compress.made import Bench
from tests.models import Net


def stateful() -> Model:
    """y = dense(x + state); state = y, which starts at zero."""
    net = Net((1, 16)).dense(32)

    def add(name: str, shape: tuple[int, ...], dtype: DType, data: np.ndarray | None = None) -> int:
        net.tensors.append(Tensor(name, TensorType(shape, dtype), data))
        return len(net.tensors) - 1

    dense = net.last
    handle, state = add("handle", (), DType.RESOURCE), add("state", (1, 32), DType.FLOAT32)
    variable = {"container": "", "shared_name": "memory"}
    net.nodes = [
        Node("CALL_ONCE", (), (), {"init_subgraph_index": 1}, "CallOnceOptions"),
        *net.nodes,
        Node("VAR_HANDLE", (), (handle,), variable, "VarHandleOptions"),
        Node("READ_VARIABLE", (handle,), (state,)),
    ]
    net.last = dense
    net.op("ADD", (1, 32), (state,), "AddOptions", fused_activation_function="NONE", pot_scale_int16=True)
    net.dense(32, "RELU")
    net.nodes.append(Node("ASSIGN_VARIABLE", (handle, net.last), ()))
    main = Graph(tuple(net.tensors), tuple(net.nodes), (0,), (net.last,), "main")
    start = (
        Tensor("handle", TensorType((), DType.RESOURCE)),
        Tensor("zeros", TensorType((1, 32), DType.FLOAT32), np.zeros((1, 32), np.float32)),
    )
    nodes = (
        Node("VAR_HANDLE", (), (0,), variable, "VarHandleOptions"),
        Node("ASSIGN_VARIABLE", (0, 1), ()),
    )
    init = Graph(start, nodes, (), (), "init")
    return Model((main, init), (Signature("serve", (("x", 0),), (("y", net.last),)),))


def sequence(file: Path, inputs: list[np.ndarray]) -> np.ndarray:
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(str(file))
    interpreter.allocate_tensors()
    outputs = []
    for value in inputs:
        interpreter.set_tensor(interpreter.get_input_details()[0]["index"], value)
        interpreter.invoke()
        outputs.append(interpreter.get_tensor(interpreter.get_output_details()[0]["index"]))
    return np.concatenate(outputs)


@pytest.mark.parametrize("technique", ["static_int8", "dynamic_int8", "weight_only_int8", "float16"])
def test_state_is_kept(tmp_path: Path, technique: str) -> None:
    bench = Bench(stateful(), tmp_path)
    inputs = [x[0] for x in bench.inputs]
    expected = sequence(bench.source, inputs)
    assert not np.allclose(expected[1], sequence(bench.source, inputs[1:2])[0], rtol=0.01)
    file, applied = bench.apply(technique)
    error = np.square(sequence(file, inputs) - expected).sum() / np.square(expected).sum()
    assert error < 0.003
    made = read(file)
    assert [n.op for n in made.graphs[1].nodes] == ["VAR_HANDLE", "ASSIGN_VARIABLE"]
    if technique == "static_int8":
        assert [n.op for n in made.main.nodes if "VARIABLE" in n.op or n.op == "CALL_ONCE"] == [
            "CALL_ONCE",
            "READ_VARIABLE",
            "ASSIGN_VARIABLE",
        ]
        assert {left.kind for left in applied.left_float} == {"READ_VARIABLE"}
        weights = [made.main.tensors[n.inputs[1]].dtype for n in made.main.nodes if n.op == "FULLY_CONNECTED"]
        assert weights == ["int8", "int8"]
