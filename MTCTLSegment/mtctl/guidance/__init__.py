"""Answers of a reader: how the network is told, what it may change, and which questions are worth asking."""
