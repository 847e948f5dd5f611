"""Networks that are trained only: the V-Net of the baselines and the discriminator."""
