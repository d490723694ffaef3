"""The gRPC edge that the three services share.

Rooms: `errors` (kinds of errors, no grpc), `status` (kinds to google.rpc.Status and back), `interceptors` (errors,
caller and logging around every call), `caller` (who calls), `access` (who may call what, read from the contract),
`server` (start, health, reflection, drain), `page_token` (opaque tokens of lists) and `channel` (how a client reaches
a service). What does not touch the gRPC edge does not live here.
"""
