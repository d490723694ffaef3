"""`ka login`: a certificate of some hours. The key never leaves this host; the agent runs on login hosts."""
