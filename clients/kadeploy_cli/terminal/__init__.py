"""What a person sees: tables, messages, failures with advice, exit codes."""
