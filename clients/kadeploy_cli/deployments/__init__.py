"""Deployments: created, followed, listed, cancelled; statistics."""
