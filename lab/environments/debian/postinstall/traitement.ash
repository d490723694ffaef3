#!/bin/sh
# Makes an unpacked Debian this node's own: /rambin/traitement.ash /rambin
set -eu
# shellcheck source=lab/environments/postinstall/identity.sh
. "$1/identity.sh"

write_name
write_fstab 0
write_resolver
open_tmp
write_release

# Without dashes, a random UUID is a machine id.
tr -d - </proc/sys/kernel/random/uuid >"$target/etc/machine-id"

rm -f "$target"/etc/ssh/ssh_host_*
chroot "$target" /usr/bin/ssh-keygen -q -t ed25519 -N '' -C "root@$node" -f /etc/ssh/ssh_host_ed25519_key ||
    fail "ssh-keygen made no host key"
