"""The use cases of the deployer, and the ports through which they touch the world."""
