"""Work on files off the event loop, and whose turn it is."""
