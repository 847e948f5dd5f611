"""The sections of the module's page, one per file."""
