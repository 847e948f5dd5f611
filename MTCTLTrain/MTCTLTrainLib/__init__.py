"""What the module MTCTLTrain is made of; what needs no Qt is in `mtctl_train` and `mtctl`."""
