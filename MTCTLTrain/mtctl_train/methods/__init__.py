"""What one training step computes: the losses, the baselines of the paper, and MT-CTL."""
