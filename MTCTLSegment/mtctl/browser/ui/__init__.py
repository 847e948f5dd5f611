"""The page of the reviewer: its state, its commands and its views."""
