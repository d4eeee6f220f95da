"""How much each operator loses by quantization, and why."""
