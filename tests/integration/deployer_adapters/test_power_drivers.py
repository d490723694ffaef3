"""Management controllers that refuse, lie, are slow, or are not there: one clear sentence each."""

import asyncio
import socket
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path

import pytest

from kadeploy_deployer.adapters.power_commands import CommandPower
from kadeploy_deployer.adapters.power_drivers import DrivenPower
from kadeploy_deployer.adapters.power_ipmi import IpmiController
from kadeploy_deployer.adapters.power_redfish import RedfishController
from kadeploy_deployer.domain.snapshot import CommandSnapshot, NodeSnapshot
from kadeploy_deployer.domain.states import RebootLevel
from kadeploy_deployer.domain.vocabulary import Firmware, PowerDriverKind
from kadeploy_deployer.ports import PowerError
from tests.fakes.controllers import SYSTEM, FakeController, ipmi_controller, redfish_controller
from tests.fakes.snapshots import a_node

pytestmark = pytest.mark.integration
Start = Callable[..., AbstractContextManager[FakeController]]
KINDS = pytest.mark.parametrize("start", [ipmi_controller, redfish_controller])


def power(*, seconds: float = 50.0, confirm: float = 20.0) -> DrivenPower:
    commands = CommandPower(timeout=seconds)
    controllers = {
        PowerDriverKind.IPMI: IpmiController(commands),
        PowerDriverKind.REDFISH: RedfishController(call_seconds=seconds),
    }
    return DrivenPower(commands, controllers, off_seconds=0.0, confirm_seconds=confirm)


def driven(controller: FakeController, **changes: object) -> NodeSnapshot:
    driver = replace(controller.driver, **changes)  # type: ignore[arg-type]
    return a_node(commands=CommandSnapshot(), power_driver=driver)


@pytest.fixture
def deaf() -> Iterator[str]:
    """An address where connections and datagrams are taken, and nothing is ever answered."""
    with socket.socket() as stream, socket.socket(type=socket.SOCK_DGRAM) as datagrams:
        stream.bind(("127.0.0.1", 0))
        stream.listen(8)
        port = stream.getsockname()[1]
        datagrams.bind(("127.0.0.1", port))
        yield f"127.0.0.1:{port}"


@KINDS
async def test_the_network_is_next_with_every_start_and_reset(start: Start, tmp_path: Path) -> None:
    with start(tmp_path) as controller:
        node = replace(driven(controller), firmware=Firmware.UEFI)
        await power().reboot(node, RebootLevel.HARD)
        assert controller.asked() == ["network", "hard"]
        await asyncio.sleep(2)  # a fake system of the emulator is off for a second while it restarts
        await power().reboot(node, RebootLevel.VERY_HARD)
        assert controller.asked()[2:] == ["off", "network", "on"]


@KINDS
async def test_a_wrong_password_is_told_and_never_shown(
    start: Start, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    with start(tmp_path) as controller:
        wrong = tmp_path / "wrong"
        wrong.write_text("not-the-password\n")
        wrong.chmod(0o600)
        with pytest.raises(PowerError, match="power_status of node-1 failed") as failure:
            await power().is_on(driven(controller, password_file=str(wrong)))
        assert "not-the-password" not in str(failure.value) + caplog.text


@KINDS
async def test_a_controller_that_agrees_and_does_nothing_is_told(start: Start, tmp_path: Path) -> None:
    with start(tmp_path, lies=True) as controller:
        sentence = (
            "power_off of node-1: its controller agreed, but 1 s later it says that the power is on; look at the "
            "machine, and reset its controller"
        )
        with pytest.raises(PowerError, match=sentence):
            await power(confirm=1.0).power_off(driven(controller))


@KINDS
@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda path: path.unlink(), "the password file .* cannot be read: No such file"),
        (lambda path: path.chmod(0o644), r"everybody on this host can read the password file .*; chmod o= "),
    ],
)
async def test_a_password_file_that_cannot_be_used_is_told(
    start: Start, change: Callable[[Path], None], sentence: str, tmp_path: Path
) -> None:
    with start(tmp_path) as controller:
        change(Path(controller.driver.password_file))
        with pytest.raises(PowerError, match=f"power_off of node-1.*{sentence}|power_status of node-1.*{sentence}"):
            await power().power_off(driven(controller))
        assert controller.asked() == []


@KINDS
async def test_a_controller_that_never_answers_is_not_waited_for(start: Start, tmp_path: Path, deaf: str) -> None:
    with start(tmp_path) as controller:
        node = driven(controller, address=deaf, accept_any_certificate=True, ca_file="")
        with pytest.raises(
            PowerError, match=r"power_status of node-1 (did not end|was not answered by its controller)"
        ):
            await power(seconds=2.0).is_on(node)


async def test_a_stranger_s_certificate_is_refused_and_the_password_not_sent(tmp_path: Path) -> None:
    with redfish_controller(tmp_path) as controller:
        with pytest.raises(PowerError, match="certificate of its controller is not signed by an authority of"):
            await power().is_on(driven(controller, ca_file=""))
        assert await power().is_on(driven(controller, ca_file="", accept_any_certificate=True)) is True
        plain = f"http://{controller.driver.address}"
        with pytest.raises(PowerError, match=r"the password would be sent in the clear to http://127.0.0.1"):
            await power().is_on(driven(controller, address=plain))


async def test_the_system_of_a_controller_may_be_named(tmp_path: Path) -> None:
    with redfish_controller(tmp_path) as controller:
        assert await power().is_on(driven(controller, system=f"/redfish/v1/Systems/{SYSTEM}")) is True
        with pytest.raises(PowerError, match=r"power_status of node-1 failed: .*Systems/no-node-1 not found"):
            await power().is_on(driven(controller, system="/redfish/v1/Systems/no-{name}"))


async def test_an_environment_with_a_proxy_does_not_lead_out_of_the_site(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    with redfish_controller(tmp_path) as controller:
        assert await power().is_on(driven(controller)) is True


async def test_the_password_stands_in_no_argument_list(tmp_path: Path) -> None:
    seen: list[tuple[str, ...]] = []

    class Watched(CommandPower):
        async def run(self, node: NodeSnapshot, word: str, arguments: object) -> str:
            seen.append(tuple(arguments))  # type: ignore[arg-type]
            return "Chassis Power is on"

    with ipmi_controller(tmp_path) as controller:
        commands = Watched()
        driver = DrivenPower(commands, {PowerDriverKind.IPMI: IpmiController(commands)})
        await driver.reboot(replace(driven(controller), firmware=Firmware.UEFI), RebootLevel.HARD)
    words = [" ".join(arguments[arguments.index("chassis") :]) for arguments in seen]
    assert words == ["chassis power status", "chassis bootdev pxe options=efiboot", "chassis power reset"]
    assert all(arguments[arguments.index("-f") + 1] == controller.driver.password_file for arguments in seen)
