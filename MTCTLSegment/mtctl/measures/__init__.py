"""Measures of a segmented atrium with the intervals that its uncertainty gives, and enhancement of its wall."""
