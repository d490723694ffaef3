"""How fast one file reaches N hosts, beside the programs that Debian has for it: `python -m tests.bench.broadcast`.

Hosts are network namespaces behind one bridge, with an sshd each; every link is shaped in both directions. So all hosts
share the processors of this machine: beyond 8 hosts the size of the file and the rate of the links shrink together.
"""
