"""What two models must be like before one can learn from the other."""

from __future__ import annotations

from sanderling.compress.prepare import fold
from sanderling.errors import RecipeError
from sanderling.graph.edit import compact
from sanderling.graph.graph import Graph, Model
from sanderling.passes import run


def trainable(model: Model) -> Model:
    """Returns: the model with plain float weights, builtin operators, and loops step by step."""
    return compact(run(fold(model), ("replace_transpose_conv_bias", "unroll_loops"))[0])


def require_same_answers(teacher: Graph, student: Graph) -> None:
    """Makes sure that two graphs can be compared.

    Raises:
        RecipeError: their inputs or outputs differ in number or shape.
    """
    for what in ("inputs", "outputs"):
        wanted, got = (
            [str(graph.tensors[i].type) for i in getattr(graph, what)] for graph in (teacher, student)
        )
        if wanted != got:
            raise RecipeError(
                f"the student has the {what} {', '.join(got)}, the teacher {', '.join(wanted)}",
                hint="give models of the same inputs and outputs",
            )
