"""Security labels of files that steps write into a new system.

The deployment environment has no SELinux policy, so what it writes has no label, and a system that enforces a policy
lets nobody read it: not even sshd the authorized keys.
"""

from collections.abc import Mapping

from kadeploy_deployer.steps.deployment_shell import command
from kadeploy_deployer.steps.mounts import DESTINATION
from kadeploy_deployer.steps.step import StepContext

# User, role and level are those of /etc. An image that was packed without labels relabels itself at its first boot.
_LABEL = """
import os, sys
root, attribute = sys.argv[1], "security.selinux"
try:
    lines = open(root + "/etc/selinux/config").read().splitlines()
except OSError:
    sys.exit()
if any(line.split("=")[-1].strip() == "disabled" for line in lines if line.strip().startswith("SELINUX=")):
    sys.exit()
try:
    model = os.getxattr(root + "/etc", attribute).rstrip(b"\\0").split(b":")
except OSError:
    open(root + "/.autorelabel", "a").close()
    sys.exit()
for pair in sys.argv[2:]:
    kind, _, path = pair.partition("=")
    if os.path.lexists(root + path):
        label = b":".join([*model[:2], kind.encode(), *model[3:]])
        os.setxattr(root + path, attribute, label + b"\\0", follow_symlinks=False)
"""


async def label_files(context: StepContext, node: str, types: Mapping[str, str]) -> None:
    """Labels files of the mounted target, where its system uses SELinux.

    Args:
        context: of the step.
        node: its name.
        types: SELinux types by path in the new system; files that are not there are passed over.

    Raises:
        NodeFailed, ShellError: the labels cannot be written.
    """
    pairs = [f"{kind}={path}" for path, kind in types.items()]
    arguments = ("python3", "-c", _LABEL, DESTINATION, *pairs)
    await command(context, node, arguments, what="labelling files for SELinux")
