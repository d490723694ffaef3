"""Looking at nodes and rebooting them: probe, proof, reboot ladder, host keys, reboot windows."""
