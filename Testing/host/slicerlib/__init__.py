"""The Python parts of the application that slicer-core lacks, put where modules import them from."""
