"""Does fine-tuning on corrected scans pay? Experiments with a simulated reviewer."""
