"""Boot entries, the TFTP tree, and the DHCP server's configuration."""
