"""The chain broadcast: the manifest that proves every byte, the source that serves it, the driver of the nodes."""
