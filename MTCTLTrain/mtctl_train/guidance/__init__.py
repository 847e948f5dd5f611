"""Training of the network that takes a reader's answers in."""
