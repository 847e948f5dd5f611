"""Requests to child processes."""
