"""A stored case, opened for review in the module MTCTLSegment."""
