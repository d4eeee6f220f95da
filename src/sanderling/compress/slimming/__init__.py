"""Which channels may go, how many of each group, and the graph without them."""
