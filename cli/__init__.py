"""The `scale` command."""
