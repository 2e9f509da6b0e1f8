"""The solutions are answers to be checked, no modules to be searched for tests."""

collect_ignore_glob = ["*.py"]
