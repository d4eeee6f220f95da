"""Graph → Graph, before anything is compiled: shapes, states and what a GPU holds in another form."""
