"""What machines boot: the TFTP tree, files that are truly fetched, and an answer of the DHCP server."""

import re
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass

from kadeploy.bootctl.v1 import boot_entry_pb2, bootctl_service_pb2
from kadeploy.inventory.v1 import node_pb2
from kadeploy_cli.connection.session import Session
from kadeploy_cli.doctor.dhcp_probe import DhcpError, DhcpServer
from kadeploy_cli.doctor.finding import Finding, bad, good, skipped
from kadeploy_cli.doctor.tftp import NoTftpAnswer, TftpError, TftpServer
from kadeploy_edge.status import from_status

FETCHED_BYTES = 4096
HTTP_SECONDS = 5.0
LOADER = "pxelinux.0"
EMPTY = "Install the file anew."
TREE_ADVICE = "`ka boot check` lists it; `ka boot reconcile --repair` writes our own files again."
# How the files of nodes name what is fetched: pxelinux and GRUB.
_NAMED = re.compile(r"^\s*(?:KERNEL|LINUX|INITRD|linux|initrd)\s+(\S+)|\binitrd=(\S+)", re.MULTILINE)


@dataclass(frozen=True, slots=True, kw_only=True)
class BootHosts:
    """Where the boot servers are."""

    tftp: TftpServer
    dhcp: DhcpServer


def check_tree(session: Session) -> Iterator[Finding]:
    """Asks bootctl for what is wrong with its tree."""
    found = session.bootctl.call(session.bootctl.tree.CheckTree, bootctl_service_pb2.CheckTreeRequest()).findings
    for each in found:
        yield bad(f"boot file {each.path}", each.description, TREE_ADVICE)
    if not found:
        yield good("TFTP tree", "loaders, directories, labels and free space are as they should be")


def check_fetching(session: Session, node: node_pb2.Node | None, hosts: BootHosts) -> Iterator[Finding]:
    """Fetches the loader, and the kernel and initrd of each label, as machines do."""
    bootctl = session.bootctl
    labels = bootctl.call(bootctl.tree.ListLabels, bootctl_service_pb2.ListLabelsRequest()).labels
    if node is None:
        yield skipped("fetching boot files", "no node is registered")
        return
    paths: list[str] = []
    for label in labels:
        path, text, problem = _rendered(session, node, label.name)
        if problem:
            yield bad(f"label {label.name}", problem, "`kadeploy-bootctl label install` puts its kernel into the tree.")
            continue
        repository = path.partition("/pxelinux.cfg")[0].partition("/grub")[0]
        names = [name if name.startswith("http://") else f"{repository}/{name}" for name in _files(text)]
        paths += [f"{repository}/{LOADER}", *names]
    yield from _fetched(list(dict.fromkeys(paths)), hosts.tftp)


def _fetched(paths: list[str], server: TftpServer) -> Iterator[Finding]:
    """Fetches each file; a TFTP server that does not answer is asked once."""
    answers = True
    for path in paths:
        if path.startswith("http://"):
            yield _by_http(path)
        elif answers:
            try:
                content = server.fetch(path, most=FETCHED_BYTES)
            except TftpError as error:
                answers = not isinstance(error, NoTftpAnswer)
                yield bad(f"TFTP {path}", str(error), f"Check the TFTP server on {server.host}, and `ka boot check`.")
            else:
                yield good(f"TFTP {path}", "is sent") if content else bad(f"TFTP {path}", "is empty", EMPTY)
        else:
            yield skipped(f"TFTP {path}", "the server does not answer")


def check_dhcp(node: node_pb2.Node | None, hosts: BootHosts) -> Iterator[Finding]:
    """Asks the DHCP server for an offer for a known machine."""
    if node is None:
        yield skipped("DHCP", "no node is registered")
        return
    subject = f"DHCP for {node.name}"
    try:
        offer = hosts.dhcp.offer(node.mac_address)
    except PermissionError:
        yield skipped(subject, "asking needs root")
    except OSError as error:
        text = f"asking needs port {hosts.dhcp.reply_port} on this host, which the server has itself: {error.strerror}"
        yield skipped(subject, text)
    except DhcpError as error:
        yield bad(subject, str(error), "`ka dhcp render` writes what the server must know of the nodes.")
    else:
        if offer.address != node.ip_address:
            text = f"{offer.address} is offered, and {node.ip_address} is registered"
            yield bad(subject, text, "`ka dhcp render` writes what the server must know of the nodes.")
        elif not offer.file:
            yield bad(subject, f"{offer.address} is offered without a file to boot", "See `ka dhcp render --loader`.")
        else:
            yield good(subject, f"{offer.address} is offered, and {offer.file} from {offer.next_server}")


def _rendered(session: Session, node: node_pb2.Node, label: str) -> tuple[str, str, str]:
    """Returns path and text of the file that a node would get to boot a label, or why it would get none."""
    machine = boot_entry_pb2.BootNode(
        name=node.name,
        mac_address=node.mac_address,
        ip_address=node.ip_address,
        firmware=boot_entry_pb2.BOOT_FIRMWARE_BIOS,
    )
    target = boot_entry_pb2.BootTarget(label=boot_entry_pb2.LabelTarget(label=label))
    request = bootctl_service_pb2.RenderBootEntriesRequest(
        entries=[boot_entry_pb2.BootEntry(node=machine, target=target, owner="doctor")]
    )
    answer = session.bootctl.call(session.bootctl.boot.RenderBootEntries, request)
    (entry,) = answer.entries
    if entry.status.code:
        return "", "", from_status(entry.status).message
    return entry.files[0].path, entry.files[0].text, ""


def _files(text: str) -> list[str]:
    named = [one or other for one, other in _NAMED.findall(text)]
    return list(dict.fromkeys(each for name in named for each in name.split(",") if not each.endswith(".c32")))


def _by_http(url: str) -> Finding:
    request = urllib.request.Request(url, headers={"Range": f"bytes=0-{FETCHED_BYTES - 1}"})  # noqa: S310
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(request, timeout=HTTP_SECONDS) as answer:
            content = answer.read(FETCHED_BYTES)
    except urllib.error.HTTPError as error:
        return bad(f"HTTP {url}", f"status {error.code}", "Check the HTTP server's root, and `http_url` of bootctl.")
    except OSError as error:
        return bad(f"HTTP {url}", str(getattr(error, "reason", error)), "Check that the HTTP server runs.")
    return good(f"HTTP {url}", "is sent") if content else bad(f"HTTP {url}", "is empty", EMPTY)
