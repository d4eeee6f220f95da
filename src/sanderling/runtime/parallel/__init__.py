"""Many inputs at once: replicas of a model side by side, or a model in stages like a pipeline."""
