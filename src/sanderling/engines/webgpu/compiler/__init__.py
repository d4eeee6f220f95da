"""Graph → Program: lower → fuse → pool → memory → program, every step data that can be printed."""
