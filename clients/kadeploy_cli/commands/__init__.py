"""The command line itself: options and help texts, one module per noun of `ka` and one per family of classic names.

A function here turns options into one call of the module of its noun, and does nothing else.
"""
