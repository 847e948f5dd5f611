"""The review of one case: no screen, no scene."""
