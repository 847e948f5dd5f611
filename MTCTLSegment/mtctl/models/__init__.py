"""Models: the card and the weights, those of a site, those that are shipped, an old one against a new one."""
