"""The page's own client of the services, which follows renewed certificates."""

import threading

from kadeploy_api import ClientSettings, Kadeploy
from kadeploy_edge.tls import UnusableCertificate, tls_fingerprint


class ClientHolder:
    """Returns a client whose certificate is the present one. May be asked by several threads."""

    def __init__(self, settings: ClientSettings) -> None:
        """Opens the first client. Errors as of Kadeploy."""
        self._settings = settings
        self._lock = threading.Lock()
        self._known = self._fingerprint()
        self._clients = [Kadeploy(settings)]

    def __call__(self) -> Kadeploy:
        """Returns the client; a new one when the certificate's files have changed and fit together."""
        with self._lock:
            found = self._fingerprint()
            if found != self._known:
                self._known = found
                try:
                    # Calls of the one before may still run; the certificate before counts until it ends.
                    self._clients.append(Kadeploy(self._settings))
                except UnusableCertificate:
                    return self._clients[-1]
            return self._clients[-1]

    def close(self) -> None:
        """Closes the channels."""
        with self._lock:
            for client in self._clients:
                client.close()

    def _fingerprint(self) -> object:
        return tls_fingerprint(self._settings.tls) if self._settings.tls is not None else None
