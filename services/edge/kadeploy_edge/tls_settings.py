"""The table [tls] of a service's settings."""

from kadeploy_edge.settings_file import Table
from kadeploy_edge.tls import TlsFiles


def read_tls(table: Table) -> TlsFiles | None:
    """Returns what [tls] says, None where it is not there."""
    if not table.is_there:
        return None
    return TlsFiles(
        certificate=table.path("certificate"),
        private_key=table.path("private_key"),
        ca=table.path("ca"),
        revocation_list=table.optional_path("revocation_list"),
    )
