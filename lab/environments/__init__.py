"""Builds the environments of the demo and of the tests: an image, a description and a post-install archive each."""
