"""Commands on many nodes: what they print, by node, as it comes; and how they ended."""

import math
import sys
from collections import defaultdict
from collections.abc import Sequence

from kadeploy.deployer.v1 import deployer_service_pb2
from kadeploy_cli.connection.session import Session
from kadeploy_cli.nodes import results as node_results
from kadeploy_cli.nodes.results import NodeOutcome, outcome, streamed
from kadeploy_cli.terminal import output
from kadeploy_cli.terminal.exit_codes import ExitCode
from kadeploy_cli.terminal.failures import Failure
from kadeploy_nodeset import NodeSet

NODES_AT_ONCE = 100
DEFAULT_SECONDS = 600.0

# Reads public keys, one a line, and adds those that are not there yet. The same again changes nothing.
ADD_KEYS = """
umask 077
file=/root/.ssh/authorized_keys
mkdir -p /root/.ssh && touch "$file" || exit 1
[ -z "$(tail -c 1 "$file")" ] || echo >>"$file" || exit 1
while IFS= read -r key; do
    grep -qxF -e "$key" "$file" || printf '%s\\n' "$key" >>"$file" || exit 1
done
"""
_ADDING = ("sh", "-c", ADD_KEYS, "add-keys")


def run(
    session: Session,
    nodes: NodeSet,
    arguments: Sequence[str],
    *,
    timeout: float | None = None,
    stdin: bytes = b"",
) -> ExitCode:
    """Runs a command on nodes and returns 0 if it ended with 0 on all of them, 6 on some, else why on none."""
    quiet = session.form is not output.Format.TABLE
    results = _results(session, nodes, arguments, timeout=timeout, stdin=stdin, quiet=quiet)
    results.finish(session)
    return node_results.exit_code(results.outcomes)


def add_keys(session: Session, nodes: NodeSet, keys: Sequence[str]) -> ExitCode:
    """Lets the owners of public keys log in as root."""
    return run(session, nodes, _ADDING, stdin=_lines(keys))


def outcomes_of_keys(session: Session, nodes: NodeSet, keys: Sequence[str]) -> dict[str, NodeOutcome]:
    """Lets the owners of public keys log in as root, and returns what became of each node."""
    results = _results(session, nodes, _ADDING, timeout=None, stdin=_lines(keys), quiet=True)
    return {each.node: each for each in results.outcomes}


def _lines(keys: Sequence[str]) -> bytes:
    return "".join(f"{key}\n" for key in keys).encode()


def _results(
    session: Session, nodes: NodeSet, arguments: Sequence[str], *, timeout: float | None, stdin: bytes, quiet: bool
) -> "_CommandResults":
    request = deployer_service_pb2.RunCommandRequest(nodes=str(nodes), arguments=arguments, input=stdin)
    seconds = timeout or DEFAULT_SECONDS
    request.timeout.FromNanoseconds(int(seconds * 1e9))
    deployer = session.deployer
    patience = deployer.deadlines.call + seconds * math.ceil(len(nodes) / NODES_AT_ONCE)
    results = _CommandResults(quiet=quiet)
    with streamed(deployer) as reading:
        for answer in reading.answers(deployer.control.RunCommand(request, timeout=patience)):
            results.hear(answer)
    return results


class _CommandResults:
    """What nodes have said so far. Each whole line is printed with the node's name before it, unless it is quiet."""

    def __init__(self, *, quiet: bool) -> None:
        self.outcomes: list[NodeOutcome] = []
        self._quiet = quiet
        self._said: dict[tuple[str, bool], bytes] = defaultdict(bytes)
        self._rest: dict[tuple[str, bool], bytes] = defaultdict(bytes)
        self._status: dict[str, int] = {}

    def hear(self, answer: deployer_service_pb2.RunCommandResponse) -> None:
        """Takes one answer."""
        kind = answer.WhichOneof("kind")
        if kind == "ended":
            for is_error in (False, True):
                self._print(answer.node, self._rest.pop((answer.node, is_error), b""), is_error=is_error)
            self._end(answer)
            return
        is_error = kind == "error_output"
        content = answer.error_output if is_error else answer.output
        if self._quiet:
            self._said[answer.node, is_error] += content
            return
        *lines, rest = (self._rest[answer.node, is_error] + content).split(b"\n")
        self._rest[answer.node, is_error] = rest
        for line in lines:
            self._print(answer.node, line + b"\n", is_error=is_error)

    def finish(self, session: Session) -> None:
        """Prints how it ended: a line on stderr, or everything for a program."""
        if session.form is not output.Format.TABLE:
            ordered = output.by_name(self.outcomes, lambda each: each.node)
            output.show(
                session.form,
                columns=(),
                rows=(),
                data=[self._data(each) for each in ordered],
                names=[each.node for each in ordered if each.failure is None],
            )
            return
        bad = [each for each in self.outcomes if each.failure]
        good = len(self.outcomes) - len(bad)
        text = "; ".join(each.sentence for each in bad)
        output.say(f"{good} of {len(self.outcomes)} nodes OK" + (f"; failed: {text}" if bad else ""))
        if advice := next((each.failure.advice for each in bad if each.failure and each.failure.advice), ""):
            output.say(advice)

    def _end(self, answer: deployer_service_pb2.RunCommandResponse) -> None:
        ended = answer.ended
        found = outcome(answer.node, ended.status)
        if found.failure is None:
            self._status[answer.node] = ended.exit_status
            if ended.exit_status:
                failure = Failure(f"exit {ended.exit_status}", exit_code=ExitCode.FAILED)
                found = NodeOutcome(node=answer.node, reason="EXIT_STATUS", failure=failure)
        self.outcomes.append(found)

    def _print(self, node: str, line: bytes, *, is_error: bool) -> None:
        if not line:
            return
        stream = sys.stderr if is_error else sys.stdout
        text = output.printable(line.decode(errors="replace").rstrip("\r\n"))
        stream.write(f"{node}: {text}\n")
        stream.flush()

    def _data(self, each: NodeOutcome) -> dict[str, object]:
        return {
            **each.data,
            "exit_status": self._status.get(each.node),
            "output": self._said[each.node, False].decode(errors="replace"),
            "error_output": self._said[each.node, True].decode(errors="replace"),
        }
