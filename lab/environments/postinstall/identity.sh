# shellcheck shell=sh
# Gives the system under $KADEPLOY_ENV_EXTRACTION_DIR what is this node's own. Read by traitement.ash of each
# environment, which runs in the deployment environment after the image was unpacked; needs sh, blkid, hostname.

fail() {
    echo "post-install: $*" >&2
    exit 1
}

[ -n "${KADEPLOY_ENV_EXTRACTION_DIR:-}" ] || fail "KADEPLOY_ENV_EXTRACTION_DIR is not set"
[ -b "${KADEPLOY_DEPLOY_PART:-}" ] || fail "KADEPLOY_DEPLOY_PART='${KADEPLOY_DEPLOY_PART:-}' is no block device"
target=$KADEPLOY_ENV_EXTRACTION_DIR
[ -d "$target/etc" ] || fail "there is no system in $target"
node=${KADEPLOY_NODE:-$(hostname)}

# The device of a partition by its number; disks whose name ends in a digit have a p in between (nvme0n1p3).
partition() {
    case $KADEPLOY_BLOCK_DEVICE in
    *[0-9]) echo "${KADEPLOY_BLOCK_DEVICE}p$1" ;;
    *) echo "$KADEPLOY_BLOCK_DEVICE$1" ;;
    esac
}

# One line of fstab for a device that holds what is expected of it; nothing for an empty partition.
#   fstab_line DEVICE MOUNT_POINT OPTIONS PASS
fstab_line() {
    kind=$(blkid -o value -s TYPE "$1") || return 0
    id=$(blkid -o value -s UUID "$1") || return 0
    # An empty partition is no failure for blkid: it has an identity of its own in the partition table.
    [ -n "$kind" ] && [ -n "$id" ] || return 0
    case $2:$kind in none:swap) ;; none:* | *:swap) return 0 ;; esac
    echo "UUID=$id $2 $kind $3 0 $4"
}

write_name() {
    echo "${node%%.*}" >"$target/etc/hostname"
    if [ "${node%%.*}" = "$node" ]; then names=$node; else names="$node ${node%%.*}"; fi
    printf '127.0.0.1 localhost\n127.0.1.1 %s\n::1 localhost ip6-localhost\n' "$names" >"$target/etc/hosts"
}

write_fstab() {
    line=$(fstab_line "$KADEPLOY_DEPLOY_PART" / defaults "$1")
    [ -n "$line" ] || fail "$KADEPLOY_DEPLOY_PART holds no file system"
    {
        echo "$line"
        [ -z "${KADEPLOY_SWAP_PART_NUM:-}" ] || fstab_line "$(partition "$KADEPLOY_SWAP_PART_NUM")" none sw,nofail 0
        [ -z "${KADEPLOY_TMP_PART_NUM:-}" ] || fstab_line "$(partition "$KADEPLOY_TMP_PART_NUM")" /tmp defaults,nofail 0
    } >"$target/etc/fstab"
}

# The name servers that DHCP gave to the deployment environment, for systems that take none from DHCP by themselves.
write_resolver() {
    [ ! -s /etc/resolv.conf ] || cat /etc/resolv.conf >"$target/etc/resolv.conf"
}

# A fresh file system belongs to root alone, but everybody may write to /tmp.
open_tmp() {
    chmod 1777 "$target/tmp"
    [ -n "${KADEPLOY_TMP_PART_NUM:-}" ] && grep -q ' /tmp ' "$target/etc/fstab" || return 0
    mount "$(partition "$KADEPLOY_TMP_PART_NUM")" "$target/tmp" || fail "cannot mount the partition for /tmp"
    chmod 1777 "$target/tmp"
    umount "$target/tmp"
}

# What was deployed, for whoever logs in and wonders.
write_release() {
    {
        echo "environment=${KADEPLOY_ENV:-unknown}"
        echo "node=$node"
        echo "partition=$KADEPLOY_DEPLOY_PART"
    } >"$target/etc/kadeploy-release"
}
