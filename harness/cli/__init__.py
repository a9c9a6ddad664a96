"""The command line: one verb a file, each parses, calls a stage and prints."""
