"""The wrong programs of `bad/` are read by tests, not run as tests."""

collect_ignore = ["bad"]
