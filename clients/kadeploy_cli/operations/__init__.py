"""What is done to nodes outside of a deployment: reboots, power, commands, consoles."""
