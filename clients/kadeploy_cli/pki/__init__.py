"""The site's certificate authority: `holders` (for whom), `certificates` (pure X.509), `authority` (the directory)."""
