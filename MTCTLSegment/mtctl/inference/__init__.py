"""Segmentation of a volume: a scan in, a prediction out."""
