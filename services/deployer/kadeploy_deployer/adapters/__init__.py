"""The real adapters behind the ports: ssh, power commands, bootctl, inventory, images, time."""
