"""The Debian packages in a Debian of their own: a directory as root, in namespaces that end with the test."""
