"""What the inventory uses besides its databases: MUNGE, and the key of the login authority."""
