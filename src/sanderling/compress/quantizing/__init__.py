"""Float graphs as integer graphs: ranges, scales, rounding, and the writer."""
