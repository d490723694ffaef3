"""Power through Redfish, by sushy: the management controllers of a cluster, with one account for all."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import requests
import sushy
import sushy.auth
import sushy.connector
import sushy.exceptions
import urllib3
from typing_extensions import override

from kadeploy_deployer.adapters.controller import Controller, Switch, controller_address, filled_in, read_password
from kadeploy_deployer.domain.snapshot import NodeSnapshot, PowerDriverSnapshot
from kadeploy_deployer.domain.vocabulary import Firmware
from kadeploy_deployer.engine.fence import pass_fence
from kadeploy_deployer.ports import PowerError

CONNECT_SECONDS = 10.0
READ_SECONDS = 20.0
CALL_SECONDS = 55.0
CALLS_AT_ONCE = 50
ROOT = "/redfish/v1/"
WORDS = {Switch.ON: "power_on", Switch.OFF: "power_off", Switch.RESET: "hard_reboot"}
_RESETS = {
    Switch.ON: sushy.ResetType.ON,
    Switch.OFF: sushy.ResetType.FORCE_OFF,
    Switch.RESET: sushy.ResetType.FORCE_RESTART,
}
_MODES = {
    Firmware.UEFI: sushy.BootSourceOverrideMode.UEFI,
    Firmware.BIOS: sushy.BootSourceOverrideMode.LEGACY,
}
_ON = frozenset({sushy.PowerState.ON, sushy.PowerState.POWERING_OFF})

_Result = TypeVar("_Result")


class RedfishController(Controller):
    """Calls controllers over HTTPS, from threads of its own: a slow controller holds up nobody else.

    The password goes into the header of each request, so no session stays open on the controller.
    """

    def __init__(self, *, call_seconds: float = CALL_SECONDS) -> None:
        """Sets the bound of a call in seconds."""
        self._call_seconds = call_seconds
        self._threads = ThreadPoolExecutor(CALLS_AT_ONCE, thread_name_prefix="redfish")

    @override
    async def is_on(self, node: NodeSnapshot, driver: PowerDriverSnapshot) -> bool:
        state = await self._call(node, driver, "power_status", lambda system: system.power_state)
        if state is None:
            raise PowerError(f"power_status of {node.name}: its controller says no power state")
        return state in _ON

    @override
    async def boot_network_next(self, node: NodeSnapshot, driver: PowerDriverSnapshot) -> None:
        def override_boot(system: Any) -> None:
            system.set_system_boot_options(
                target=sushy.BootSource.PXE,
                enabled=sushy.BootSourceOverrideEnabled.ONCE,
                mode=_MODES[node.firmware],
            )

        await pass_fence()
        await self._call(node, driver, "network_next", override_boot)

    @override
    async def switch(self, node: NodeSnapshot, driver: PowerDriverSnapshot, action: Switch) -> None:
        await pass_fence()
        await self._call(node, driver, WORDS[action], lambda system: system.reset_system(_RESETS[action]))

    async def _call(
        self, node: NodeSnapshot, driver: PowerDriverSnapshot, word: str, do: Callable[[Any], _Result]
    ) -> _Result:
        """Returns what a call on the node's system returns. Raises PowerError."""

        def work() -> _Result:
            connection = _connect(node, driver, word)
            try:
                return do(_system(connection, node, driver, word))
            finally:
                connection.close()

        try:
            async with asyncio.timeout(self._call_seconds):
                return await asyncio.get_running_loop().run_in_executor(self._threads, work)
        except TimeoutError:
            raise PowerError(
                f"{word} of {node.name} was not answered by its controller within {self._call_seconds:g} s; whether "
                f"it was done is unknown"
            ) from None
        except sushy.exceptions.AccessError as error:
            raise PowerError(
                f"{word} of {node.name} failed: its controller does not take the password of {driver.user} in "
                f"{driver.password_file}"
            ) from error
        except (sushy.exceptions.ConnectionError, requests.exceptions.SSLError) as error:
            if "CERTIFICATE_VERIFY_FAILED" not in str(error):
                raise PowerError(f"{word} of {node.name} failed: {_first_line(error)}") from error
            raise PowerError(
                f"{word} of {node.name} is not run: the certificate of its controller is not signed by "
                f"{driver.ca_file or 'an authority of this host'}; the cluster's profile names the right one (ca_file)"
            ) from error
        except (sushy.exceptions.SushyError, requests.RequestException, OSError) as error:
            raise PowerError(f"{word} of {node.name} failed: {_first_line(error)}") from error


def _connect(node: NodeSnapshot, driver: PowerDriverSnapshot, word: str) -> "_Connection":
    password = read_password(node, word, driver.password_file)
    address = filled_in(node, word, driver.address)
    if not address.startswith(("https://", "http://")):
        host, port = controller_address(node, word, driver.address)
        host = f"[{host}]" if ":" in host else host
        address = f"https://{host}:{port}" if port else f"https://{host}"
    if address.startswith("http://") and not driver.accept_any_certificate:
        raise PowerError(f"{word} of {node.name} is not run: the password would be sent in the clear to {address}")
    verify: bool | str = driver.ca_file or True
    if driver.accept_any_certificate:
        verify = False
        urllib3.disable_warnings(urllib3.exceptions.InsecureRequestWarning)
    return _Connection(address, driver.user, password, verify=verify)


class _Connection:
    """One controller, for one call."""

    def __init__(self, address: str, user: str, password: str, *, verify: bool | str) -> None:
        self._connector = sushy.connector.Connector(
            address, verify=verify, default_request_timeout=READ_SECONDS, connect_timeout=CONNECT_SECONDS
        )
        # A proxy of the host's environment leads out of the site, and controllers are in it.
        self._connector._session.trust_env = False  # noqa: SLF001 - sushy has no setting for it
        self.root = sushy.Sushy(
            address,
            auth=sushy.auth.BasicAuth(username=user, password=password),
            connector=self._connector,
            public_connector=self._connector,
        )

    def close(self) -> None:
        """Ends the connection."""
        self._connector.close()


def _system(connection: _Connection, node: NodeSnapshot, driver: PowerDriverSnapshot, word: str) -> Any:
    if driver.system:
        return connection.root.get_system(filled_in(node, word, driver.system))
    paths = connection.root.get_system_collection().members_identities
    if len(paths) != 1:
        named = ", ".join(paths) or "none"
        raise PowerError(
            f"{word} of {node.name} is not run: its controller has {len(paths)} systems ({named}); "
            f"name one of them in the cluster's profile"
        )
    return connection.root.get_system(paths[0])


def _first_line(error: Exception) -> str:
    text = str(error).strip() or type(error).__name__
    return text.splitlines()[0][:200]
