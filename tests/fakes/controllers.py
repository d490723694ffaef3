"""Management controllers of one machine each, as processes on loopback: IPMI by pyghmi, Redfish by sushy-tools.

Both write each thing that they are asked to do into a file: "network" (boot it next), "on", "off", "hard".
"""

import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from kadeploy_deployer.domain.snapshot import PowerDriverSnapshot
from kadeploy_deployer.domain.vocabulary import PowerDriverKind
from tests.fakes.site_certificates import SiteCertificates

USER, PASSWORD = "admin", "secret-of-controllers"
START_SECONDS = 30.0
SYSTEM = "27946b59-9e44-4fa7-8e91-f3527a1ef094"

IPMI = """
import sys
from pathlib import Path
import pyghmi.ipmi.private.session as session
from pyghmi.ipmi.bmc import Bmc

log, port, password, lies = Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3], sys.argv[4] == "lies"
session.myself = "127.0.0.1"

class Controller(Bmc):
    on = True
    def note(self, word):
        with log.open("a") as file:
            file.write(word + "\\n")
    def get_power_state(self):
        return "on" if self.on else "off"
    def power_on(self):
        self.note("on")
        self.on = self.on or not lies
    def power_off(self):
        self.note("off")
        self.on = self.on and lies
    def power_reset(self):
        self.note("hard")
    def get_boot_device(self):
        return "default"
    def set_boot_device(self, device):
        self.note(device)

controller = Controller({"admin": password}, port=port, address="127.0.0.1")
log.touch()
while True:
    session.Session.wait_for_rsp(5)
"""

# The emulator's fake systems switch after up to eleven seconds; here after one, as quick controllers do.
REDFISH = """
import random, sys
from pathlib import Path
from sushy_tools.emulator import main
from sushy_tools.emulator.resources.systems.fakedriver import FakeDriver

log, lies = Path(sys.argv[1]), sys.argv[2] == "lies"
sys.argv = ["sushy-emulator", *sys.argv[3:]]
random.randint = lambda least, most: 1
WORDS = {"On": "on", "ForceOff": "off", "ForceRestart": "hard", "Pxe": "network"}
switch, boot = FakeDriver.set_power_state, FakeDriver.set_boot_device

def note(word):
    with log.open("a") as file:
        file.write(WORDS.get(word, word) + "\\n")

def set_power_state(self, identity, state):
    note(state)
    if not lies:
        switch(self, identity, state)

def set_boot_device(self, identity, source):
    note(source)
    boot(self, identity, source)

FakeDriver.set_power_state, FakeDriver.set_boot_device = set_power_state, set_boot_device
main.main()
"""
SETTINGS = """
SUSHY_EMULATOR_FAKE_DRIVER = True
SUSHY_EMULATOR_STATE_DIR = {state!r}
SUSHY_EMULATOR_AUTH_FILE = {accounts!r}
SUSHY_EMULATOR_FAKE_SYSTEMS = [
    {{"uuid": {system!r}, "name": "node-1", "power_state": "On", "nics": [], "external_notifier": False}}
]
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class FakeController:
    """A running controller: how the deployer reaches it, and what it was asked to do."""

    driver: PowerDriverSnapshot
    log: Path

    def asked(self) -> list[str]:
        """Returns the words in order."""
        return self.log.read_text().split() if self.log.exists() else []


def write_password(directory: Path, password: str = PASSWORD) -> Path:
    """Returns a file that holds a password for us alone."""
    path = directory / "password"
    path.write_text(f"{password}\n")
    path.chmod(0o600)
    return path


@contextmanager
def ipmi_controller(directory: Path, *, lies: bool = False) -> Iterator[FakeController]:
    """Yields an IPMI controller whose machine is on. `lies`: it agrees to everything and does nothing."""
    log, port = directory / "ipmi.log", _free_port(socket.SOCK_DGRAM)
    command = [sys.executable, "-c", IPMI, str(log), str(port), PASSWORD[:16], "lies" if lies else "-"]
    driver = PowerDriverSnapshot(
        kind=PowerDriverKind.IPMI,
        user=USER,
        password_file=str(write_password(directory, PASSWORD[:16])),
        address=f"127.0.0.1:{port}",
        cipher_suite=3,
    )
    with _running(command, directory / "ipmi.out", log.exists):
        yield FakeController(driver=driver, log=log)


@contextmanager
def redfish_controller(directory: Path, *, lies: bool = False) -> Iterator[FakeController]:
    """Yields a Redfish controller over HTTPS whose machine is on; `lies` as above."""
    log, port = directory / "redfish.log", _free_port(socket.SOCK_STREAM)
    certificates = SiteCertificates(directory / "pki")
    files = certificates.issue("service", "mariadb")
    (directory / "state").mkdir()
    accounts, settings = directory / "accounts", directory / "emulator.conf"
    accounts.write_text(f"{USER}:{_bcrypt(PASSWORD)}\n")
    settings.write_text(SETTINGS.format(state=str(directory / "state"), accounts=str(accounts), system=SYSTEM))
    command = [
        *(sys.executable, "-c", REDFISH, str(log), "lies" if lies else "-"),
        *("--config", str(settings), "--fake", "-i", "127.0.0.1", "-p", str(port)),
        *("--ssl-certificate", str(files.certificate), "--ssl-key", str(files.private_key)),
    ]
    driver = PowerDriverSnapshot(
        kind=PowerDriverKind.REDFISH,
        user=USER,
        password_file=str(write_password(directory)),
        address=f"127.0.0.1:{port}",
        ca_file=str(files.ca),
    )
    with _running(command, directory / "redfish.out", lambda: _answers(port)):
        yield FakeController(driver=driver, log=log)


def _bcrypt(password: str) -> str:
    import bcrypt  # noqa: PLC0415 - comes with the emulator

    return bcrypt.hashpw(password.encode(), bcrypt.gensalt(rounds=4)).decode()


@contextmanager
def _running(command: list[str], output: Path, is_up: Callable[[], bool]) -> Iterator[None]:
    with output.open("wb") as file:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=file, stderr=file)
    try:
        deadline = time.monotonic() + START_SECONDS
        while not is_up():
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"the controller did not start: {output.read_text()[-2000:]}")
            time.sleep(0.05)
        yield
    finally:
        process.kill()
        process.wait(timeout=30)


def _answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _free_port(kind: socket.SocketKind) -> int:
    with socket.socket(type=kind) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
