"""The gRPC skin: messages to domain and back, nothing decided."""
