"""Logging in on the page of the site."""
