"""The case store: scans, results, drafts, accepted masks and their records."""
