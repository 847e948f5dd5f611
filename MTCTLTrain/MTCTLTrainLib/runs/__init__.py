"""Fine-tuning runs: started, watched, stopped and gone on with."""
