"""Many scans: one after the other, on this machine or on a cluster, with one page of results."""
