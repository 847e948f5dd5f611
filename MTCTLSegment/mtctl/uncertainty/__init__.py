"""Uncertainty maps, the case score, uncertain regions and plausibility."""
