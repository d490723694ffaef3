"""The commands that people type: `ka` and the classic names, on the generated stubs alone.

Modules: one module per noun (`nodes`, `clusters`, `environments`, `rights`, `deployments`, `partitions`, `boot`), each
with functions from values to calls; `deploy` is the whole of kadeploy; `commands/` is the command line itself;
`descriptions/` reads the files that people write (pure: text in, values out, errors with line numbers);
`watching/` follows a deployment; `connect`, `settings`, `session`, `output`, `plain`, `failures`, `advice` and
`exit_codes` are what all of them stand on. No service's code is imported here.
"""

import os

# Read once, when the library is imported, so it stands here: its own log lines, on a terminal between ours, tell a user
# nothing that our sentences do not. Whoever wants them sets the variable.
os.environ.setdefault("GRPC_VERBOSITY", "NONE")
