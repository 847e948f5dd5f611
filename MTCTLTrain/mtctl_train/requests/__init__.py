"""What the window asks child processes for."""
