"""How the client fetches from an HTTP server: by HTTP alone, so that no redirection leads elsewhere."""

import urllib.request


def http_opener() -> urllib.request.OpenerDirector:
    """Returns an opener for http and https, by the proxy of the environment where one is set."""
    opener = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler,
        urllib.request.HTTPHandler,
        urllib.request.HTTPSHandler,
        urllib.request.HTTPRedirectHandler,
        urllib.request.HTTPDefaultErrorHandler,
        urllib.request.HTTPErrorProcessor,
        urllib.request.UnknownHandler,
    ):
        opener.add_handler(handler())
    return opener
