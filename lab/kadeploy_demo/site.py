"""The three services as processes: settings written, started, waited for, ended.

`make run` uses it on loopback, the demo and the end-to-end tests inside a lab's namespace.
"""

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from kadeploy_demo.errors import DemoError
from kadeploy_demo.service_process import ServiceProcess
from kadeploy_demo.service_settings import Tables, bootctl_settings, deployer_settings, inventory_settings
from kadeploy_edge.channel import open_channel
from kadeploy_edge.tls import TlsFiles

START_SECONDS = 60.0
# Started in this order: the deployer asks the other two.
SERVICES = ("inventory", "bootctl", "deployer")


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """Where the services of one site live and how they are reached.

    Attributes:
        directory: settings, databases and logs.
        tftp_root: the tree that bootctl writes.
        addresses: per service, "unix:/path" or "127.0.0.1:PORT".
        deployment_environment: the directory with vmlinuz, initrd.img and the host key of the deployment environment.
        cluster_key: the private key that opens the nodes.
        image_directories: where the files of environments are.
        boot_logs: logs of the DHCP and TFTP servers.
        wrap: turns an argument list into one that runs where the services belong (a namespace).
        pki: the site's certificates; None where every address is a socket.
    """

    directory: Path
    tftp_root: Path
    addresses: Mapping[str, str]
    deployment_environment: Path
    cluster_key: Path
    image_directories: Sequence[Path]
    wrap: Callable[[Sequence[str]], list[str]] = list
    boot_logs: Sequence[Path] = ()
    bin_directory: Path = Path(sys.executable).parent
    pki: Path | None = None

    def tls_files(self, holder: str) -> TlsFiles | None:
        """The certificate of "services/NAME" or "users/NAME", if this site has certificates."""
        if self.pki is None:
            return None
        place = self.pki / holder
        return TlsFiles(
            certificate=place / "certificate.pem", private_key=place / "private_key.pem", ca=place / "ca.pem"
        )

    def settings_file(self, service: str) -> Path:
        """The settings of one service."""
        return self.directory / f"{service}.toml"

    def log_file(self, service: str) -> Path:
        """What one service says."""
        return self.directory / f"{service}.log"

    def program(self, service: str, *arguments: str) -> list[str]:
        """The argument list of a service's own command."""
        command = [str(self.bin_directory / f"kadeploy-{service}"), *arguments]
        return [*command, "--config", str(self.settings_file(service))]

    def write_settings(self) -> None:
        """Writes the settings of the services; databases that are there stay."""
        self.directory.mkdir(parents=True, exist_ok=True)
        for service in SERVICES:
            tables = {**self._service_tables(service), **self._tls_table(f"services/{service}")}
            if self.pki is not None:
                tables["tls"] = {**tables["tls"], "revocation_list": str(self.pki / "revoked.pem")}
            self.settings_file(service).write_text(_toml(tables))

    def write_client_settings(self, user: str, name: str = "client.toml") -> Path:
        """Writes settings for the command line tools, speaking for a user, and returns the file."""
        tables: dict[str, Mapping[str, object]] = {"": {"user": user}}
        tables |= {service: {"address": address} for service, address in self.addresses.items()}
        tables |= self._tls_table(f"users/{user}")
        path = self.directory / name
        # Somebody else's command may read it at this moment: they see the old file or the new one, never a part.
        fresh = path.with_name(f".{name}.{os.getpid()}.{threading.get_ident()}")
        fresh.write_text(_toml(tables))
        fresh.replace(path)
        return path

    def prepare_certificates(self, *users: str) -> None:
        """Makes an authority, and certificates for services on loopback and users; those that are there stay."""
        if self.pki is None:
            return
        if not (self.pki / "ca.pem").exists():
            self._ka_pki("init")
        for service in SERVICES:
            if not (self.pki / "services" / service).exists():
                self._ka_pki("issue", "service", service, "--host", "localhost", "--host", "127.0.0.1")
        for user in users:
            if not (self.pki / "users" / user).exists():
                self._ka_pki("issue", "user", user)

    def prepare_tree(self) -> None:
        """Lays the TFTP tree out and installs the deployment kernel under the label "deploy"."""
        self.tftp_root.mkdir(parents=True, exist_ok=True)
        self._run("bootctl", "init")
        kernel, initrd = self.deployment_environment / "vmlinuz", self.deployment_environment / "initrd.img"
        self._run("bootctl", "label", "install", "deploy", "--kernel", str(kernel), "--initrd", str(initrd))

    def start(self) -> None:
        """Starts the services and waits until each is healthy. Raises DemoError with the log's last line otherwise."""
        for service in SERVICES:
            self._start_one(service)
        for service in SERVICES:
            self._wait_until_healthy(service)

    def start_one(self, service: str) -> None:
        """Starts one service and waits until it is healthy."""
        self._start_one(service)
        self._wait_until_healthy(service)

    def running(self) -> list[str]:
        """The services whose process is there."""
        return [service for service in SERVICES if self.process(service).pid is not None]

    def process(self, service: str) -> ServiceProcess:
        """The process of a service, running or not."""
        return ServiceProcess(pid_file=self.directory / f"{service}.pid", log_file=self.log_file(service))

    def stop(self) -> list[str]:
        """Ends the services, the last one first; returns those that ran."""
        return [service for service in reversed(SERVICES) if self.process(service).stop()]

    def _service_tables(self, service: str) -> Tables:
        if service == "inventory":
            return inventory_settings(self.addresses[service], directory=self.directory)
        if service == "bootctl":
            return bootctl_settings(self.addresses[service], tftp_root=self.tftp_root, boot_logs=self.boot_logs)
        return deployer_settings(
            self.addresses,
            directory=self.directory,
            cluster_key=self.cluster_key,
            deployment_environment=self.deployment_environment,
            image_directories=self.image_directories,
        )

    def _tls_table(self, holder: str) -> dict[str, Mapping[str, object]]:
        files = self.tls_files(holder)
        if files is None:
            return {}
        return {"tls": {key: str(getattr(files, key)) for key in ("certificate", "private_key", "ca")}}

    def _run(self, service: str, *arguments: str) -> None:
        _run_to_the_end(self.program(service, *arguments), f"kadeploy-{service} {arguments[0]}")

    def _ka_pki(self, *arguments: str) -> None:
        command = [str(self.bin_directory / "ka"), "pki", *arguments, "--directory", str(self.pki)]
        _run_to_the_end(command, f"ka pki {arguments[0]}")

    def _start_one(self, service: str) -> None:
        if self.process(service).pid is not None:
            raise DemoError(f"{service} runs already, from {self.directory}: end it with `make stop`")
        self.process(service).start(self.wrap(self.program(service, "serve")))

    def _wait_until_healthy(self, service: str) -> None:
        deadline = time.monotonic() + START_SECONDS
        while True:
            if self.process(service).pid is None:
                raise DemoError(f"{service} ended at once: {self.process(service).last_words()}")
            if time.monotonic() > deadline:
                raise DemoError(
                    f"{service} does not answer on {self.addresses[service]} after {START_SECONDS:.0f} s: "
                    f"look at {self.log_file(service)}"
                )
            # Asked after the process was seen: somebody else may listen on the same address.
            if self._is_healthy(service):
                return
            time.sleep(0.2)

    def _is_healthy(self, service: str) -> bool:
        # A socket of the service may not be there yet; a channel opened too early would wait before it tries again.
        tls = self.tls_files(f"services/{service}")
        with open_channel(self.addresses[service], caller="user:root", tls=tls) as channel:
            try:
                answer = health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(), timeout=2)
            except grpc.RpcError:
                return False
        return bool(answer.status == health_pb2.HealthCheckResponse.SERVING)


def _run_to_the_end(command: Sequence[str], called: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, timeout=START_SECONDS, check=False)
    if done.returncode != 0:
        words = (done.stderr or done.stdout).strip() or "without a word"
        raise DemoError(f"{called} ended with status {done.returncode}: {words}")


def _toml(tables: Mapping[str, Mapping[str, object]]) -> str:
    """Returns TOML text; the table "" stands at the top. Strings, numbers, booleans and lists of strings only."""
    lines: list[str] = []
    for name, values in tables.items():
        lines += [f"[{name}]"] if name else []
        # JSON's strings, numbers, booleans and lists are TOML's too.
        lines += [f"{key} = {json.dumps(value)}" for key, value in values.items()]
        lines.append("")
    return "\n".join(lines)
