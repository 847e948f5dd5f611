"""The training loop, from a folder of cases to a model."""
