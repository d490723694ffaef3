"""Settings, channels to the services, and the session of one command."""
