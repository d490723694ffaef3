"""A service in a thread with a loop of its own, for tests whose calls are synchronous."""

import asyncio
import threading

from kadeploy_edge.server import Register, RunningServer, ServerSettings, start_server

SECONDS = 20.0


class ThreadedServer:
    """A server that runs until it is stopped."""

    def __init__(self, register: Register, settings: ServerSettings) -> None:
        """Starts it and waits until it listens; raises what the start raises."""
        self.address = ""
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="server", daemon=True)
        self._thread.start()
        starting = asyncio.run_coroutine_threadsafe(start_server(register, settings), self._loop)
        self._server: RunningServer | None = None
        try:
            self._server, self.address = starting.result(SECONDS)
        except BaseException:
            self.stop()
            raise

    def stop(self, grace: float | None = None) -> None:
        """Ends it, after at most `grace` seconds."""
        if self._server is not None:
            asyncio.run_coroutine_threadsafe(self._server.stop(grace), self._loop).result(SECONDS + (grace or 0))
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(SECONDS)
        self._loop.close()


def start_in_thread(register: Register, settings: ServerSettings) -> tuple[ThreadedServer, str]:
    """Returns a server that runs, and its address."""
    server = ThreadedServer(register, settings)
    return server, server.address
