"""MT-CTL: left-atrium segmentation with voxel-wise uncertainty on gadolinium-enhanced MRI."""

__version__ = "0.1.0"
