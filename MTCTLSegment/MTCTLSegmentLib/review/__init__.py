"""The open review, its drafts, and requests to the case store."""
