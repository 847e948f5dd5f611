"""The Qt side of the module MTCTLSegment: panels, the child process over QProcess, settings, packages to install."""
