"""Models: cards and weights, the store of a site's models, the shipped models, and the verdict on a new one."""
