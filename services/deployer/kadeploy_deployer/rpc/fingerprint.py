"""What tells two requests with the same request_id apart."""

from hashlib import sha256

from google.protobuf.message import Message


def fingerprint(request: Message) -> str:
    """Returns a digest of the whole request and its kind, the same for a request that is made again."""
    content = request.SerializeToString(deterministic=True)
    return sha256(request.DESCRIPTOR.name.encode() + b"\0" + content).hexdigest()
