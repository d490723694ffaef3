"""Nodes and their partitions: descriptions registered, listed, changed."""
