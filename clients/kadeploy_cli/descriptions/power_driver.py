"""The power driver of a cluster's profile."""

from kadeploy.inventory.v1 import power_driver_pb2
from kadeploy_cli.descriptions.yaml_text import Place

KINDS = {"ipmi": power_driver_pb2.POWER_DRIVER_KIND_IPMI, "redfish": power_driver_pb2.POWER_DRIVER_KIND_REDFISH}
TEXTS = ("user", "password_file", "address", "ca_file", "system")
KEYS = ("driver", *TEXTS, "cipher_suite", "accept_any_certificate")
MAXIMUM_CIPHER_SUITE = 255


def read_power_driver(place: Place) -> power_driver_pb2.PowerDriver:
    """Returns the driver under `power`. A password never stands there: a file does."""
    fields = place.fields(KEYS)
    for needed in ("driver", "user", "password_file"):
        if needed not in fields:
            raise place.failure(f"{needed} is missing: power has driver, user and password_file")
    driver = power_driver_pb2.PowerDriver(kind=KINDS[fields["driver"].choice(tuple(KINDS))])
    for key in TEXTS:
        if key in fields:
            setattr(driver, key, fields[key].text())
    if "cipher_suite" in fields:
        driver.cipher_suite = fields["cipher_suite"].number(0, MAXIMUM_CIPHER_SUITE)
    if "accept_any_certificate" in fields:
        driver.accept_any_certificate = fields["accept_any_certificate"].boolean()
    return driver


def in_words(driver: power_driver_pb2.PowerDriver) -> str:
    """Returns a driver as `ka cluster show` shows it; empty where there is none."""
    if not driver.kind:
        return ""
    kind = next(name for name, number in KINDS.items() if number == driver.kind)
    return f"{kind} at {driver.address or '{bmc}'} as {driver.user}, password in {driver.password_file}"
