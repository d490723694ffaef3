"""What a node is made of, as the deployment environment sees it: disks, and for `ka node inspect` everything else.

`main.py` is the way in: `kadeploy-hardware disks` and `kadeploy-hardware machine` print JSON. It reads /sys, /proc and
udev's links, and runs lsblk; it writes nothing. On a node the package lies alone in a directory, as kabroadcast does.
"""
