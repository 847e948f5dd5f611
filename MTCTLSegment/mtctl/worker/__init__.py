"""Segmentation in a warm child process: client, protocol and the child itself."""
