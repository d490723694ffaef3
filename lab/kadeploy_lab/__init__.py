"""The lab: a virtual cluster whose machines boot over PXE, like real ones.

Everything that needs real machines stands on two names: `Lab` brings the cluster up and down, `LabNode`
says where one of its machines is.
"""

from kadeploy_lab.errors import LabError
from kadeploy_lab.lab import Lab
from kadeploy_lab.plan import LabNode

__all__ = ["Lab", "LabError", "LabNode"]
