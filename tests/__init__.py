"""The tests; a package, so that fakes have one name."""
