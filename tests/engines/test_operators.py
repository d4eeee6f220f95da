"""What the engine says about operators is what LiteRT does."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from sanderling.engines.litert.operators import supported
from sanderling.graph.graph import CUSTOM, Node

# A model that only lists one operator code is enough: LiteRT looks its kernel up before anything else.
PROBE = """
import json, sys
import flatbuffers
from ai_edge_litert import schema_py_generated as s
from ai_edge_litert.interpreter import Interpreter

def vector(b, start, items):
    start(b, len(items))
    for item in reversed(items):
        b.PrependUOffsetTRelative(item)
    return b.EndVector()

def model(code, version):
    b = flatbuffers.Builder(256)
    s.OperatorCodeStart(b)
    s.OperatorCodeAddDeprecatedBuiltinCode(b, min(code, 127))
    s.OperatorCodeAddBuiltinCode(b, code)
    s.OperatorCodeAddVersion(b, version)
    codes = vector(b, s.ModelStartOperatorCodesVector, [s.OperatorCodeEnd(b)])
    s.BufferStart(b)
    buffers = vector(b, s.ModelStartBuffersVector, [s.BufferEnd(b)])
    empty = vector(b, s.SubGraphStartOperatorsVector, [])
    s.SubGraphStart(b)
    s.SubGraphAddTensors(b, empty)
    s.SubGraphAddInputs(b, empty)
    s.SubGraphAddOutputs(b, empty)
    s.SubGraphAddOperators(b, empty)
    graphs = vector(b, s.ModelStartSubgraphsVector, [s.SubGraphEnd(b)])
    s.ModelStart(b)
    s.ModelAddVersion(b, 3)
    s.ModelAddOperatorCodes(b, codes)
    s.ModelAddSubgraphs(b, graphs)
    s.ModelAddBuffers(b, buffers)
    b.Finish(s.ModelEnd(b), b"TFL3")
    return bytes(b.Output())

found = {}
for name, code in vars(s.BuiltinOperator).items():
    if not name.startswith("_") and name != "CUSTOM":
        found[name] = False
        for version in (1, 2):  # BROADCAST_TO starts at 2
            try:
                Interpreter(model_content=model(code, version))
                found[name] = True
            except ValueError as error:
                assert "Didn't find op" in str(error), error
print(json.dumps(found))
"""


def test_builtins_agree_with_litert() -> None:
    shown = subprocess.run([sys.executable, "-c", PROBE], capture_output=True, text=True, check=True)
    found = json.loads(shown.stdout)
    assert len(found) > 200
    assert {name for name in found if supported(Node(name, (), ()))} == {n for n, yes in found.items() if yes}


@pytest.mark.parametrize(
    "node, reason",
    [
        (Node("STABLEHLO_SORT", (), ()), "LiteRT has no kernel for STABLEHLO_SORT"),
        (Node(CUSTOM, (0,), (1,), custom_code="Mine"), "LiteRT has no kernel for the custom operator Mine"),
        (Node(CUSTOM, (0,), (1,), custom_code="FlexErf"), "FlexErf is a TensorFlow operator"),
        (Node(CUSTOM, (0,), (1,), custom_code="Mfcc", custom_options=b"x"), "at least 2 and 1"),
        (Node(CUSTOM, (0, 1), (2,), custom_code="Mfcc"), "Mfcc has no custom options"),
    ],
)
def test_a_refusal_says_why(node: Node, reason: str) -> None:
    verdict = supported(node)
    assert not verdict
    assert reason in verdict.reason


def test_custom_operators_of_xnnpack_need_the_default_kernels() -> None:
    node = Node(CUSTOM, (0, 1, 2), (3,), custom_code="Convolution2DTransposeBias", custom_options=b"x")
    assert supported(node)
    assert "XNNPACK only" in supported(node, "reference").reason
