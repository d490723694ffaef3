"""Install, upgrade, remove and purge of the Debian packages that `make deb` built."""

import subprocess
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.packages.debian_root import BOOKWORM, CHECKOUT, TRIXIE, DebianRoot, debian_root

pytestmark = pytest.mark.packages

BUILT = {BOOKWORM: CHECKOUT / "build" / "deb", TRIXIE: CHECKOUT / "build" / "deb-trixie"}
SERVICES = {"inventory": "kadeploy-inventory", "deployer": "kadeploy-deployer", "bootctl": "deploy"}
NAMES = [*(f"kadeploy-{service}" for service in SERVICES), "kadeploy-client", "kadeploy-client3", "kadeploy-deployenv"]
INSTALL = "apt-get install --yes --quiet /packages/kadeploy-*.deb"
# Kept by dpkg where a file of settings was changed by the site and by the package.
KEEP = "--option Dpkg::Options::=--force-confold"


def package(name: str, suite: str = BOOKWORM) -> Path:
    found = list(BUILT[suite].glob(f"{name}_*.deb"))
    assert len(found) == 1, f"{BUILT[suite]} has {len(found)} packages {name}: run `make deb`"
    return found[0]


def commands(folder: str) -> list[str]:
    return list(tomllib.loads((CHECKOUT / folder / "pyproject.toml").read_text())["project"]["scripts"])


@contextmanager
def root_with_packages(directory: Path, suite: str) -> Iterator[DebianRoot]:
    with debian_root(directory, suite=suite) as root:
        (root.path / "packages").mkdir()
        for name in NAMES:
            (root.path / "packages" / f"{name}.deb").write_bytes(package(name, suite).read_bytes())
        yield root


@pytest.fixture
def root(tmp_path: Path) -> Iterator[DebianRoot]:
    with root_with_packages(tmp_path / "debian", BOOKWORM) as root:
        yield root


@pytest.fixture(params=[BOOKWORM, TRIXIE])
def root_of_each(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[DebianRoot]:
    with root_with_packages(tmp_path / "debian", request.param) as root:
        yield root


def next_release(root: DebianRoot, name: str, *, changed: str = "") -> None:
    """Makes another package of a higher version, in which one file has one line more."""
    root.run(f"""
        dpkg-deb --raw-extract /packages/{name}.deb /tmp/next
        sed -i 's/^Version: .*/&.1/' /tmp/next/DEBIAN/control
        [ -z '{changed}' ] || echo '# one line more' >>'/tmp/next{changed}'
        dpkg-deb --build -Znone /tmp/next /packages/{name}.next.deb
        rm -r /tmp/next
    """)


def test_packages_install_and_are_purged_without_a_trace(root_of_each: DebianRoot) -> None:
    root = root_of_each
    before, accounts = root.files(), root.run("cat /etc/passwd /etc/group")
    root.run(INSTALL)
    check_commands(root)
    check_accounts(root)
    check_units(root)
    check_services(root)
    root.run("touch /var/lib/kadeploy/inventory/deploy.db /var/log/kadeploy/deployer/audit.json")
    root.run(f"apt-get remove --yes --quiet {' '.join(NAMES)}")
    assert root.run("ls /etc/kadeploy/inventory.toml /var/lib/kadeploy/inventory/deploy.db")
    assert "kadeploy" not in root.run("ls /usr/bin /usr/lib /lib/systemd/system")
    # Packages without settings and data are forgotten as soon as they are removed.
    states = root.run("dpkg-query --show --showformat='${Package} ${db:Status-Status}\\n' 'kadeploy-*'")
    left = [line.split()[0] for line in states.splitlines() if line.endswith(" config-files")]
    assert {"kadeploy-client", *(f"kadeploy-{service}" for service in SERVICES)} <= set(left)
    root.run(f"apt-get purge --yes --quiet {' '.join(left)}")
    after = root.files()
    assert {path for path in after if path not in before} - {"packages"} <= {
        f"packages/{name}.deb" for name in NAMES
    } | backups(after)
    assert {path for path in before if path not in after} == set()
    assert root.run("cat /etc/passwd /etc/group") == accounts


def backups(files: dict[str, int]) -> set[str]:
    """Returns the copies that the programs for accounts keep of their files."""
    return {path for path in files if path.startswith("etc/") and path.endswith("-")}


def check_commands(root: DebianRoot) -> None:
    version = root.run("dpkg-query --show --showformat='${Version}' kadeploy-client").partition("+")[0]
    for folder in ("clients", "clients/version3", "deployenv", *(f"services/{name}" for name in SERVICES)):
        for command in commands(folder):
            # Users' commands are in section 1, what administrators run in section 8.
            section = 1 if command.startswith("ka") and not command.startswith("kadeploy-") else 8
            assert root.run(f"cd / && {command} --version").split()[-1] == version
            assert root.run(f"{command} --help").lower().startswith(f"usage: {command}")
            root.run(f"man --where {section} {command}")
            root.run(f"bash -n /usr/share/bash-completion/completions/{command}")
    root.run("man --where 1 ka-node-list")
    # Modules were compiled at the installation, because a service's account could not.
    root.run("test -n \"$(find /usr/lib/kadeploy/inventory/kadeploy_inventory -name '*.pyc')\"")


def check_accounts(root: DebianRoot) -> None:
    for service, account in SERVICES.items():
        assert root.run(f"getent passwd {account}").strip().endswith(":/nonexistent:/usr/sbin/nologin")
        assert root.run(f"stat --format '%U %G %a' /etc/kadeploy/tls/{service}").split() == ["root", account, "750"]
        assert root.run(f"stat --format '%U %a' /var/log/kadeploy/{service}").split() == [account, "750"]
        root.run(f"runuser -u {account} -- cat /etc/kadeploy/{service}.toml")


def check_services(root: DebianRoot) -> None:
    """Has each service read its settings with its own Python and libraries, and one of them answer."""
    for service, account in SERVICES.items():
        run = f"runuser -u {account} -- kadeploy-{service}"
        shown = root.run(f"{run} serve --config /etc/kadeploy/{service}.toml --print-config")
        assert tomllib.loads(shown)["administrators"] == ["root"]
    # The wait for the port has a bound, and the process ends with the script.
    root.run("""
        runuser -u kadeploy-inventory -- kadeploy-inventory serve --insecure --config /etc/kadeploy/inventory.toml \\
            >log 2>&1 </dev/null &
        trap 'kill $!' EXIT
        timeout 60 sh -c 'until grep -q "listening on 127.0.0.1" log; do sleep 0.2; done' || { cat log >&2; exit 1; }
        ka node list --insecure -o name
    """)


def check_units(root: DebianRoot) -> None:
    units = " ".join(f"kadeploy-{service}.service" for service in SERVICES)
    assert root.run(f"systemd-analyze verify --man=yes {units} 2>&1") == ""
    assert root.run("find /etc/systemd/system -name 'kadeploy-*'") == ""


def test_an_upgrade_keeps_settings_that_the_site_changed(root: DebianRoot) -> None:
    root.run(INSTALL)
    root.run("echo '# of the site' >>/etc/kadeploy/inventory.toml; echo '# of the site' >>/etc/kadeploy/bootctl.toml")
    root.run("echo data >/var/lib/kadeploy/inventory/deploy.db")
    next_release(root, "kadeploy-inventory")
    next_release(root, "kadeploy-bootctl", changed="/etc/kadeploy/bootctl.toml")
    root.run(f"apt-get install --yes --quiet {KEEP} /packages/*.next.deb")
    assert root.run("dpkg-query --show kadeploy-inventory kadeploy-bootctl").count(".1\n") == 2
    assert root.run("tail -n 1 -q /etc/kadeploy/inventory.toml /etc/kadeploy/bootctl.toml").count("# of the site") == 2
    assert root.run("tail -n 1 /etc/kadeploy/bootctl.toml.dpkg-dist").strip() == "# one line more"
    assert root.run("cat /var/lib/kadeploy/inventory/deploy.db").strip() == "data"


def test_an_account_that_the_site_made_itself_stays(root: DebianRoot) -> None:
    root.run("useradd --system --home-dir /nonexistent --shell /usr/sbin/nologin deploy")
    root.run("apt-get install --yes --quiet /packages/kadeploy-bootctl.deb")
    root.run("apt-get purge --yes --quiet kadeploy-bootctl")
    root.run("getent passwd deploy")


def test_a_tftp_host_gets_no_database_library() -> None:
    command = ["dpkg-deb", "--contents", str(package("kadeploy-bootctl"))]
    listed = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout
    assert "kadeploy_bootctl" in listed
    for word in ("sqlalchemy", "alembic", "pymysql", "asyncssh", "aiohttp", "kadeploy_lab", "kadeploy_demo"):
        assert f"/kadeploy/bootctl/{word}/" not in listed


def test_the_deployment_environment_is_built_from_the_package_as_from_the_checkout(root: DebianRoot) -> None:
    """Without network: the Debian packages that go in come from the cache of `make deployenv`, nothing else does."""
    built = CHECKOUT / "build" / "deployenv"
    key = CHECKOUT / "build" / "keys" / "cluster_ed25519.pub"
    root.run("apt-get install --yes --quiet /packages/kadeploy-deployenv.deb; mkdir cache")
    (root.path / "root" / "key.pub").write_bytes(key.read_bytes())
    cache = CHECKOUT / "build" / "cache" / "deployenv"
    for kept in (*cache.glob("packages-virtual-bookworm-*"), cache / "ssh_host_ed25519_key"):
        subprocess.run(["cp", "-a", kept, root.path / "root" / "cache"], check=True, timeout=120)
    root.run("kadeploy-deployenv build --profile virtual --output out --authorized-key key.pub --cache cache")
    for name in ("vmlinuz", "initrd.img", "ssh_host_ed25519_key.pub"):
        assert (root.path / "root" / "out" / name).read_bytes() == (built / name).read_bytes(), name


@pytest.mark.parametrize("name", NAMES)
def test_lintian_finds_no_error(name: str) -> None:
    command = ["lintian", "--allow-root", "--fail-on", "error", "--tag-display-limit", "5", str(package(name))]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout
