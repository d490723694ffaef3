"""Kadeploy for programs: deploy, wait, watch and read, on behalf of the holder of a certificate.

    with Kadeploy.from_settings() as kadeploy:
        deployment = kadeploy.deploy("node-[1-4]", "debian")
        ended = kadeploy.wait(deployment.id, seconds=1800)

Messages are those of the contracts (docs/api.md). A call that a service refuses raises `RemoteError`, whose `reason` is
the word that the contract gives for it. `Kadeploy` may be used by several threads at once.
"""

from kadeploy_api.client import Kadeploy, SpecOptions
from kadeploy_api.deployment_view import FINISHED, DeploymentView
from kadeploy_api.settings import ClientSettings, UnusableSettings, read_client_settings
from kadeploy_api.watching import Update, Watch
from kadeploy_edge.status import RemoteError

__all__ = [
    "FINISHED",
    "ClientSettings",
    "DeploymentView",
    "Kadeploy",
    "RemoteError",
    "SpecOptions",
    "UnusableSettings",
    "Update",
    "Watch",
    "read_client_settings",
]
