"""Environments: recorded, listed, printed; images and their archives."""
