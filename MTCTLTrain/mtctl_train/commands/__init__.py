"""The commands that train: `mtctl train` and `mtctl finetune`."""
