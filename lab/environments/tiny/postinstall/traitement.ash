#!/bin/sh
# Makes an unpacked tiny system this node's own: /rambin/traitement.ash /rambin
set -eu
# shellcheck source=lab/environments/postinstall/identity.sh
. "$1/identity.sh"

write_name
write_fstab 0
open_tmp
write_release

# The loader of a raw image knows its root by its label, and two copies on one disk would have the same.
loader=$target/boot/extlinux/extlinux.conf
loader_of_uefi=$target/boot/grub/grub.cfg
[ ! -f "$loader_of_uefi" ] || sed -i "s|root=/dev/[^ ]*|root=${KADEPLOY_ROOT:-$KADEPLOY_DEPLOY_PART}|" "$loader_of_uefi"
[ ! -f "$loader" ] || sed -i "s|root=LABEL=[^ ]*|root=${KADEPLOY_ROOT:-$KADEPLOY_DEPLOY_PART}|" "$loader"

key=$target/etc/dropbear/dropbear_ed25519_host_key
mkdir -p "$target/etc/dropbear" "$target/etc/ssh"
rm -f "$key"
dropbearkey -t ed25519 -f "$key" >/dev/null 2>&1 || fail "dropbearkey made no host key"
public=$(dropbearkey -y -f "$key" | grep '^ssh-ed25519 ') || fail "$key is not a host key"
chmod 600 "$key"
echo "$public" >"$target/etc/ssh/ssh_host_ed25519_key.pub"
