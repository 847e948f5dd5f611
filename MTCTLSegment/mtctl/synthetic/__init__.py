"""Phantoms, corruptions, and inputs that are no left atrium."""
