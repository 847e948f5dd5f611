"""From a model and a case store to a candidate model and its verdict."""
