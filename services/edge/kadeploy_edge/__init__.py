"""The gRPC edge that the three services share.

Rooms: `errors` (kinds of errors, no grpc), `status` (kinds to google.rpc.Status and back), `interceptors` (errors,
caller, logging and audit around every call), `caller` (who calls), `identity` (how that is known), `access` (who may
call what, read from the contract), `audit` (records of refused and changing calls), `transport` (how an address is
reached), `tls` (certificates, keys, credentials), `revocation` (certificates that count no more), `server` (start,
health, reflection, drain), `health_probe` (asks for health, for an exit status), `page_token` (opaque tokens of
lists), `channel` (how a client reaches a service), `following_channel` (a service's own calls after a renewal) and
`settings_file` (the services' TOML). What does not touch the edge of a service does not live here.
"""
