"""Metrics, calibration, paired tests and tables."""
