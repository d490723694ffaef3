"""Reads what DHCP, TFTP and HTTP servers of this host have logged: lines in, records out. Writes nothing."""
