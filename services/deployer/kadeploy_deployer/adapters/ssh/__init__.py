"""What SSH is made of: logging in, and talking with one command. The one room that knows asyncssh, with its user."""
