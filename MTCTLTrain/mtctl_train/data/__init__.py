"""Training cases, what is drawn from them, and how they are varied."""
