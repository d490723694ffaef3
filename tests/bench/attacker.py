"""`python -m tests.bench.attacker DIRECTORY SERVICE ADDRESS ATTACK`: attacks until its standard input ends.

In a process of its own, so that it takes nothing from the client that is measured but what a host has to give.
"""

import os
import resource
import sys
from contextlib import ExitStack
from pathlib import Path

from tests.integration.adversary.attacks import ATTACKS, SILENT_CONNECTIONS
from tests.tls_site import TlsSite

# A revoked certificate, a user without a right, an administrator, another service.
ATTACKERS = ("mallory", "bob", "root", "inventory")
# Those who have no pace to keep could only be refused if their own work were.
WITH_A_PACE = ("mallory", "bob")
# Attackers have machines of their own: they take only what the others leave of this one.
NICE = 10


def main() -> None:
    """Attacks as everybody at once."""
    directory, service, address, attack = sys.argv[1:]
    os.nice(NICE)
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(most, 8 * SILENT_CONNECTIONS), most))
    site = TlsSite(directory=Path(directory), addresses={service: address})
    with ExitStack() as stack:
        for caller in WITH_A_PACE if attack == "flood" else ATTACKERS:
            stack.enter_context(ATTACKS[attack](site, service, caller))
        sys.stdout.write("begun\n")
        sys.stdout.flush()
        sys.stdin.read()


if __name__ == "__main__":
    main()
