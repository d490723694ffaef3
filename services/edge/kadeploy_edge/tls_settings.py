"""The table [tls] of a service's settings."""

from kadeploy_edge.settings_file import Table
from kadeploy_edge.tls import TlsFiles


def read_tls(table: Table, *, service: str = "SERVICE") -> TlsFiles | None:
    """Returns what [tls] says, None where it is not there; `service` is whose it is, for the sample."""
    table.describe(
        f"Certificates, as `ka pki issue service {service} --host HOST` makes them (docs/identity.md). A TCP address "
        "needs them. Renewed ones, and a changed revocation list, are read again without a restart.",
        optional=True,
    )
    if not table.is_there:
        return None
    place = f"/etc/kadeploy/tls/{service}"
    return TlsFiles(
        certificate=table.path("certificate", doc="The service's certificate.", example=f"{place}/certificate.pem"),
        private_key=table.path("private_key", doc="Its key.", example=f"{place}/private_key.pem"),
        ca=table.path("ca", doc="The authority whose certificates are believed.", example=f"{place}/ca.pem"),
        revocation_list=table.optional_path(
            "revocation_list",
            doc="The certificates that count no more. Default: none is looked at, and a revoked certificate is "
            "believed until it ends.",
            example=f"{place}/revoked.pem",
        ),
    )
