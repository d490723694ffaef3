"""Clusters and their profiles."""
