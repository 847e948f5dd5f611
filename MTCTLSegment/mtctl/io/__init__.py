"""Volumes, inputs and results on disk."""
