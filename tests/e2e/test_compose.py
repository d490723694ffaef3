"""compose.yaml for real: images built, started on an engine of our own, used through the published ports."""

import json
import subprocess
from collections.abc import Iterator

import pytest

from tests.containers.engine import EngineError, cgroups_left
from tests.containers.segment import ANSWER_ONCE, CONNECT, FETCH_BLOCK, NODE_ADDRESS, PARENT, node_on_segment
from tests.containers.site import DIRECTORY, PORTS, PROGRAMS, ComposedSite, composed_site, write_manuals_override

pytestmark = pytest.mark.compose

NODES = """\
{name}-1 52:54:00:{octet}:00:01 198.51.{number}.1
{name}-2 52:54:00:{octet}:00:02 198.51.{number}.2
\\#
sda 20480
1 1024 undefined
2 4096 undefined
"""
LONG_RUNNING = {"mariadb", "inventory", "deployer", "bootctl", "tftp"}
REFUSED, NOT_FOUND = 5, 4


@pytest.fixture(scope="module")
def site() -> Iterator[ComposedSite]:
    with composed_site() as running:
        yield running
    assert not (DIRECTORY / "engine").exists()
    assert cgroups_left(DIRECTORY / "engine") == []


def register(site: ComposedSite, name: str, number: int) -> None:
    file = site.directory / f"{name}.txt"
    file.write_text(NODES.format(name=name, octet=f"{number:02x}", number=number))
    done = site.call("root", "kaaddnode", str(file))
    assert done.returncode == 0, done.stderr


def nodes(site: ComposedSite, name: str) -> list[str]:
    done = site.call("root", "ka", "node", "list", "-o", "json")
    assert done.returncode == 0, done.stderr
    return sorted(one["name"] for one in json.loads(done.stdout) if one["name"].startswith(name))


def test_everything_runs_confined_and_without_root(site: ComposedSite) -> None:
    containers = site.containers()
    assert set(containers) == LONG_RUNNING
    for service, found in containers.items():
        host = found["HostConfig"]
        assert found["State"]["Health"]["Status"] == "healthy", service
        assert host["ReadonlyRootfs"] is True, service
        assert host["CapDrop"] == ["ALL"], service
        assert host["CapAdd"] is None, service
        assert host["Privileged"] is False, service
        assert host["SecurityOpt"] == ["no-new-privileges:true"], service
        assert host["Memory"] > 0, service
        assert host["PidsLimit"] > 0, service
        statuses = site.compose("exec", "-T", service, "sh", "-c", "grep -h ^Uid: /proc/[0-9]*/status")
        users = {line.split()[1] for line in statuses.splitlines()}
        assert len(users) == 1, service
        assert "0" not in users, service


def test_a_service_is_given_its_own_secrets_only(site: ComposedSite) -> None:
    given = {name: site.compose("exec", "-T", name, "ls", "/run/secrets").split() for name in ("inventory", "deployer")}
    assert given == {"inventory": ["deploy", "deploy_right"], "deployer": ["cluster_key", "deploy_state"]}
    for service in LONG_RUNNING:
        variables = site.compose("exec", "-T", service, "env")
        for path in (site.directory / "passwords").iterdir():
            assert path.read_text().strip() not in variables, (service, path.name)


def test_registered_nodes_survive_every_restart_and_a_new_start(site: ComposedSite) -> None:
    register(site, "lasting", 1)
    for service in sorted(LONG_RUNNING):
        site.restart(service)
        assert nodes(site, "lasting") == ["lasting-1", "lasting-2"], service
    site.compose("down")
    site.start()
    assert nodes(site, "lasting") == ["lasting-1", "lasting-2"]


def test_a_user_who_is_no_administrator_is_refused_by_every_service(site: ComposedSite) -> None:
    register(site, "guarded", 2)
    site.issue("alice")
    file = site.directory / "alices.txt"
    file.write_text(NODES.format(name="alices", octet="03", number=3))
    refused = site.call("alice", "kaaddnode", str(file))
    assert (refused.returncode, nodes(site, "alices")) == (REFUSED, []), refused.stderr
    assert "administrator" in refused.stderr
    # The audit record of the refusal stands in the service's log.
    assert "user:alice" in site.compose("logs", "inventory")


def test_the_deployer_asks_the_inventory_and_answers(site: ComposedSite) -> None:
    register(site, "asked", 4)
    listed = site.call("root", "ka", "deployment", "list", "-o", "json")
    assert (listed.returncode, json.loads(listed.stdout)) == (0, []), listed.stderr
    missing = site.call("root", "kadeploy", "-m", "asked-1", "-e", "no-such-environment", "-p", "sda2")
    assert missing.returncode == NOT_FOUND, missing.stderr
    assert "no-such-environment" in missing.stderr


def test_bootctl_answers(site: ComposedSite) -> None:
    listed = site.call("root", "ka", "boot", "list", "-o", "json")
    assert (listed.returncode, json.loads(listed.stdout)) == (0, []), listed.stderr


@pytest.mark.parametrize("service", PORTS)
def test_a_certificate_of_another_authority_opens_nothing(site: ComposedSite, service: str) -> None:
    foreign = site.directory / f"foreign-{service}"
    for words in (["init"], ["issue", "user", "root"]):
        done = site.run([PROGRAMS / "ka", "pki", *words, "--directory", str(foreign)], {})
        assert done.returncode == 0, done.stderr
    # It believes the site, so that it is the service that refuses.
    certificates = foreign / "users" / "root"
    (certificates / "ca.pem").write_bytes((site.directory / "pki" / "ca.pem").read_bytes())
    probe = [str(PROGRAMS / "python"), "-m", "kadeploy_edge.health_probe", f"localhost:{PORTS[service]}", "--tls"]
    own = site.run(site.engine.inside([*probe, str(site.directory / "pki" / "users" / "root")]), {})
    assert own.returncode == 0, own.stderr
    refused = site.run(site.engine.inside([*probe, str(certificates)]), {})
    assert refused.returncode != 0


def test_a_revoked_certificate_is_refused_at_once(site: ComposedSite) -> None:
    site.issue("mallory")
    assert site.call("mallory", "ka", "node", "list").returncode == 0
    directory = str(site.directory / "pki")
    done = site.run([PROGRAMS / "ka", "pki", "revoke", "user", "mallory", "--directory", directory], {})
    assert done.returncode == 0, done.stderr
    assert site.call("mallory", "ka", "node", "list").returncode == REFUSED


def test_the_tftp_server_serves_what_bootctl_writes_and_can_change_nothing(site: ComposedSite) -> None:
    # Fetched by the TFTP server's own health check; even its root could not write.
    site.compose("exec", "-T", "tftp", "check-tftp")
    with pytest.raises(EngineError, match="Read-only file system"):
        site.compose("exec", "-T", "--user", "0", "tftp", "touch", "/srv/tftp/PXEClient/intruder")
    kernel = "install -m 0644 /dev/null /srv/tftp/PXEClient/images_grub/from-bootctl"
    site.compose("exec", "-T", "bootctl", *kernel.split())
    assert "from-bootctl" in site.compose("exec", "-T", "tftp", "ls", "/srv/tftp/PXEClient/images_grub")
    with pytest.raises(EngineError, match="Permission denied"):
        site.compose("exec", "-T", "bootctl", "touch", "/srv/tftp/PXEClient/pxelinux.0")


def test_a_deployment_kernel_is_installed_into_the_tree(site: ComposedSite) -> None:
    source = site.directory / "deployenv"
    source.mkdir(exist_ok=True)
    for name in ("vmlinuz", "initrd.img"):
        (source / name).write_text(name)
    files = ["--kernel", "/deployenv/vmlinuz", "--initrd", "/deployenv/initrd.img"]
    install = ["label", "install", "deploy", "--config", "/etc/kadeploy/bootctl.toml", *files]
    site.compose("run", "--rm", "-T", "--no-deps", "--volume", f"{source}:/deployenv:ro", "bootctl", *install)
    assert "deploy-vmlinuz" in site.compose("exec", "-T", "tftp", "ls", "/srv/tftp/PXEClient/images_grub")


def test_the_database_is_reached_by_its_users_alone(site: ComposedSite) -> None:
    connect = "import socket, sys; socket.create_connection((sys.argv[1], 3306), 3)"
    networks = site.containers()["mariadb"]["NetworkSettings"]["Networks"]
    (address,) = [one["IPAddress"] for one in networks.values()]
    site.compose("exec", "-T", "inventory", "python3", "-c", connect, address)
    for service in ("bootctl", "tftp"):
        with pytest.raises(EngineError):
            site.compose("exec", "-T", service, "python3", "-c", connect, address)


OWN_END = """
import socket, sys
with socket.create_connection((sys.argv[1], int(sys.argv[2])), 10) as connection:
    print(connection.getsockname()[0])
"""


def test_on_the_nodes_own_network_no_address_is_translated(site: ComposedSite) -> None:
    override = write_manuals_override(site.directory, parent=PARENT)
    with node_on_segment(site.engine) as node:
        site.start(override)
        try:
            with subprocess.Popen(node.argv(ANSWER_ONCE, NODE_ADDRESS), stdout=subprocess.PIPE, text=True) as listener:
                assert listener.stdout is not None
                port = listener.stdout.readline().strip()
                own = site.compose("exec", "-T", "deployer", "python3", "-c", OWN_END, NODE_ADDRESS, port).strip()
                seen = listener.stdout.readline().strip()
            # What the deployer takes for its address is what nodes see it at, and where they reach it.
            assert (own, seen) == ("192.0.2.3", "192.0.2.3")
            node.run(CONNECT, own, str(PORTS["deployer"]))
            assert node.run(FETCH_BLOCK, "192.0.2.4", "PXEClient/pxelinux.0") == "192.0.2.4 512"
            # And clients still reach it at the host's.
            listed = site.call("root", "ka", "deployment", "list")
            assert listed.returncode == 0, listed.stderr
        finally:
            site.start()


LOGIN = """
import pathlib, pymysql, ssl, sys
user, secret, protection = sys.argv[1:]
tls = "/etc/kadeploy/tls"
context = ssl.create_default_context(cafile=f"{tls}/ca.pem")
if protection == "certificate":
    context.load_cert_chain(f"{tls}/certificate.pem", f"{tls}/private_key.pem")
options = {"ssl_disabled": True} if protection == "none" else {"ssl": context}
password = pathlib.Path("/run/secrets", secret).read_text().strip()
with pymysql.connect(host="mariadb", user=user, password=password, **options) as connection:
    with connection.cursor() as cursor:
        cursor.execute("SHOW SESSION STATUS LIKE 'Ssl_cipher'")
        print(cursor.fetchone()[1])
"""


@pytest.mark.parametrize(
    ("service", "user", "secret"),
    [
        ("inventory", "kadeploy_inventory", "deploy"),
        ("inventory", "kadeploy_rights", "deploy_right"),
        ("deployer", "kadeploy_deployer", "deploy_state"),
    ],
)
def test_the_database_lets_a_service_in_with_its_certificate_alone(
    site: ComposedSite, service: str, user: str, secret: str
) -> None:
    login = ["exec", "-T", service, "python3", "-c", LOGIN, user, secret]
    assert site.compose(*login, "certificate").startswith("TLS_")
    for protection in ("ca", "none"):
        with pytest.raises(EngineError, match="Access denied"):
            site.compose(*login, protection)


def test_the_database_hears_nobody_in_plain_text_not_even_its_administrator(site: ComposedSite) -> None:
    networks = site.containers()["mariadb"]["NetworkSettings"]["Networks"]
    (address,) = [one["IPAddress"] for one in networks.values()]
    login = "import pymysql, sys; pymysql.connect(host=sys.argv[1], user='root', password=open(sys.argv[2]).read(), {})"
    secret = str(site.directory / "passwords" / "database_root")

    def as_root(protection: str) -> "subprocess.CompletedProcess[str]":
        program = login.format(protection)
        return site.run(site.engine.inside([PROGRAMS / "python", "-c", program, address, secret]), {})

    encrypted = as_root("")
    assert encrypted.returncode == 0, encrypted.stderr
    assert "Access denied for user 'root'" in as_root("ssl_disabled=True").stderr


def test_check_tells_that_the_way_to_the_database_is_encrypted(site: ComposedSite) -> None:
    for service, databases in (("inventory", ("deploy", "deploy_right")), ("deployer", ("deploy_state",))):
        command = [f"kadeploy-{service}", "db", "check", "--config", f"/etc/kadeploy/{service}.toml"]
        told = site.compose("exec", "-T", service, *command)
        for database in databases:
            assert f"the database {database}: reached at mariadb:3306, encrypted with TLS" in told
        assert told.count(f"demands the certificate of /CN={service}\n") == len(databases)


def test_the_client_container_speaks_for_the_administrator(site: ComposedSite) -> None:
    register(site, "seen", 5)
    listed = site.compose("run", "--rm", "-T", "client", "node", "list", "-o", "json")
    assert "seen-1" in [one["name"] for one in json.loads(listed)]
