"""The deployer: lifecycle and exclusivity of deployments, and everything done to nodes."""
