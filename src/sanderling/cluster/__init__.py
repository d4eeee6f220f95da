"""Many machines: the only folder that knows Ray."""
