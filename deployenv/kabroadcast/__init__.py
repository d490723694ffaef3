"""The node's side of the broadcast: pulls a file from the nodes before it, writes it, and serves the nodes behind it.

The protocol and its reasons are in docs/broadcast.md. `session.py` is the way in: one program for one session, which
ends when its standard input does; nothing of it outlives the session that started it.

It starts on machines that are slow to start it, so it imports little, and its rooms import one another as siblings:
on a node the package lies alone in a directory. Programs that it runs: tar, gzip, bzip2, xz, zstd, sync.
"""
