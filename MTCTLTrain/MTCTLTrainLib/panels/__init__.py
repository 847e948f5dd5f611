"""One file a section of the page of the module."""
