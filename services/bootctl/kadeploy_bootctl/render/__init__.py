"""Entries to loader files: pure functions of frozen values. Nothing here reads or writes the tree."""
