"""A whole folder of samples, answered into a table."""
