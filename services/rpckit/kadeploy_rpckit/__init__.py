"""The gRPC edge that the three services share.

Errors: `errors` (kinds of errors, no grpc), `status` (kinds to google.rpc.Status and back).
Around every call: `interceptors` (errors, caller, logging and audit), `caller` (who calls), `identity` (how that is
known), `access` (who may call what, read from the contract), `bounds` (how much a request may hold, read from the
contract), `audit` (records of refused and changing calls),
`line_file` (where records are appended).
A server: `transport` (how an address is reached), `tls` (certificates, keys, credentials), `revocation` (certificates
that count no more), `server` (start, health, reflection, drain), `health_probe` (asks for health, for an exit status),
`page_token` (opaque tokens of lists), `log_lines` (the log, one line for each record), `settings_file` (the services'
TOML).
A client: `channel` (how it reaches a service), `following_channel` (a service's own calls after a renewal).
What does not touch the edge of a service does not live here.
"""
