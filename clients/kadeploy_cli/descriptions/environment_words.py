"""The words that descriptions of environments have for the contract's values, for reading and for writing them."""

from kadeploy.inventory.v1 import environment_pb2

SYSTEMS = {
    "linux": environment_pb2.OPERATING_SYSTEM_LINUX,
    "xen": environment_pb2.OPERATING_SYSTEM_XEN,
    "other": environment_pb2.OPERATING_SYSTEM_OTHER,
}
KINDS = {"tar": environment_pb2.IMAGE_KIND_TAR, "dd": environment_pb2.IMAGE_KIND_DD}
COMPRESSIONS = {
    "none": environment_pb2.COMPRESSION_NONE,
    "gzip": environment_pb2.COMPRESSION_GZIP,
    "bzip2": environment_pb2.COMPRESSION_BZIP2,
    "xz": environment_pb2.COMPRESSION_XZ,
    "zstd": environment_pb2.COMPRESSION_ZSTD,
}
NO_SCRIPT = "none"
CHAINLOAD = "chainload"
"""In the place of a kernel: the loader of the partition, or of the whole disk, starts it."""
RAMBIN = "/rambin"
"""Where archives are unpacked: the one argument of a script to which its description gives no others."""
