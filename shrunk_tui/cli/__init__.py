"""Headless commands: thin shells over the engine and the store. Data on stdout, talk on stderr, exit codes that mean it."""
