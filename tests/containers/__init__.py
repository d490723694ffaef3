"""A container engine of our own, for the test of compose.yaml: nothing is installed on this host, and nothing stays.

Modules: `tools` (the engine's programs and Compose, fetched once into the cache), `stand_ins` (images that stand for
the official ones, built from Debian packages), `engine` (the daemon in namespaces of its own) and `enter-engine` (the
part of it that runs inside).
"""
