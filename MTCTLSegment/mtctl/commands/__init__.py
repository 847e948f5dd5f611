"""The command `mtctl`: one small module a subcommand."""
