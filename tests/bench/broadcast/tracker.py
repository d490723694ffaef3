"""A BitTorrent tracker that names the same peers to everybody.

`python -m tests.bench.broadcast.tracker PORT PEER_PORT ADDRESS…`
"""

import http.server
import socket
import sys


def serve(port: int, peer_port: int, addresses: list[str]) -> None:
    """Serves for ever."""
    peers = b"".join(socket.inet_aton(address) + peer_port.to_bytes(2, "big") for address in addresses)
    answer = b"d8:intervali10e5:peers%d:%se" % (len(peers), peers)

    class Tracker(http.server.BaseHTTPRequestHandler):
        """Answers every announcement in the same way."""

        def do_GET(self) -> None:
            """Answers."""
            self.send_response(200)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

    http.server.ThreadingHTTPServer(("", port), Tracker).serve_forever()


if __name__ == "__main__":
    serve(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3:])
