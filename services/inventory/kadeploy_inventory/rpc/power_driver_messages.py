"""Power drivers as messages."""

from kadeploy.inventory.v1 import power_driver_pb2
from kadeploy_inventory.domain.power_driver import PowerDriver, PowerDriverKind
from kadeploy_inventory.rpc.wire_values import read_enum, write_enum

_KIND = "POWER_DRIVER_KIND_"


def power_driver_from_message(message: power_driver_pb2.PowerDriver) -> PowerDriver:
    """Returns the driver in a message."""
    kinds, unspecified = power_driver_pb2.PowerDriverKind, PowerDriverKind.UNSPECIFIED
    return PowerDriver(
        kind=read_enum(PowerDriverKind, message.kind, kinds, prefix=_KIND, default=unspecified),
        user=message.user,
        password_file=message.password_file,
        address=message.address,
        cipher_suite=message.cipher_suite,
        ca_file=message.ca_file,
        accept_any_certificate=message.accept_any_certificate,
        system=message.system,
    )


def power_driver_to_message(driver: PowerDriver | None) -> power_driver_pb2.PowerDriver | None:
    """Returns the message of a driver."""
    if driver is None:
        return None
    return power_driver_pb2.PowerDriver(
        kind=write_enum(driver.kind, power_driver_pb2.PowerDriverKind, prefix=_KIND),
        user=driver.user,
        password_file=driver.password_file,
        address=driver.address,
        cipher_suite=driver.cipher_suite,
        ca_file=driver.ca_file,
        accept_any_certificate=driver.accept_any_certificate,
        system=driver.system,
    )
