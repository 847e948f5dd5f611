"""The Qt side of the module MTCTLTrain; what needs no Qt is in `mtctl_train` and `mtctl`."""
