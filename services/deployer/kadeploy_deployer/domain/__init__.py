"""What a deployment is, as pure data and rules: no database, no network, no clock."""
