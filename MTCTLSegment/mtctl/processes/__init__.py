"""Child processes: how they are started, heard, asked and answered."""
