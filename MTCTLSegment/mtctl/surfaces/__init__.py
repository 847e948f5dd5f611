"""Surfaces of a segmentation: closed and smooth, cut open at veins and valve, written for other programs."""
