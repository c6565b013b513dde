"""The `scale` command: puts the rooms together. Everything that prints lives here.

Nothing heavy is imported at the top of these modules, so that `--help`, `check` and `fmt` start at once.
"""
