"""Fine-tuning runs: to start, watch, stop and resume them."""
