"""Named fakes of the ports, one per file. Each passes the contract tests of its port, as the real adapter does."""
