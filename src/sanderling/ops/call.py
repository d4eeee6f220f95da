"""CALL: runs another graph of the model; its outputs are as the file declares them."""

from __future__ import annotations

from sanderling.ops._control import declared_types
from sanderling.ops.op import Op, float_only, no_cost

OP = Op("CALL", declared_types, no_cost, "CallOptions", quant=float_only("what its graph does decides"))
