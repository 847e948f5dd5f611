"""The review that is open, its drafts, and what the case store is asked to keep."""
