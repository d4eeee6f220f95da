"""What a model costs, before it is run: arithmetic, parameters, bytes and memory."""
