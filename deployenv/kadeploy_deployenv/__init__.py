"""Builds the deployment environment, and holds the tools that build other images from Debian packages."""
