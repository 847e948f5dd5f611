"""The file formats of volumes: NRRD, MetaImage and NIfTI, each read with everything checked that its header says."""
