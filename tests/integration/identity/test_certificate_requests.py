"""`ka pki` signs requests of keys that somebody else keeps, and renews an authority of an earlier release."""

import subprocess
from datetime import timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key

from kadeploy_cli.connection.certificate_end import warn_of_end
from kadeploy_cli.ka import ka
from kadeploy_cli.login.agent_command import read_settings
from kadeploy_cli.terminal.exit_codes import ExitCode
from kadeploy_edge.tls import TlsFiles, read_material
from tests.fakes.site_certificates import SiteCertificates
from tests.samples import check_sample

pytestmark = pytest.mark.integration

SECONDS = 30


@pytest.fixture
def own(tmp_path: Path) -> SiteCertificates:
    return SiteCertificates(tmp_path / "pki")


def make_request(directory: Path, name: str, *key: str) -> tuple[Path, Path]:
    """Has openssl make a key and a request, as an administrator does; returns both files."""
    private, request = directory / "private_key.pem", directory / "request.pem"
    subject = f"/CN={name}" if name else "/"
    command = ["openssl", "req", "-new", *(key or ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256")), "-nodes"]
    command += ["-keyout", str(private), "-subj", subject, "-out", str(request)]
    subprocess.run(command, check=True, capture_output=True, timeout=SECONDS)
    return private, request


def pki(own: SiteCertificates, *words: str) -> Result:
    return CliRunner().invoke(ka, ["pki", words[0], "--directory", str(own.directory), *words[1:]])


@pytest.mark.parametrize("key", [(), ("-newkey", "rsa:2048")], ids=["EC", "RSA"])
def test_a_certificate_is_made_for_the_key_of_a_request(
    own: SiteCertificates, tmp_path: Path, key: tuple[str, ...]
) -> None:
    private, request = make_request(tmp_path, "deployer", *key)
    done = pki(own, "issue", "service", "deployer", "--host", "deployer.example", "--request", str(request))
    assert done.exit_code == 0, done.output
    place = own.directory / "services" / "deployer"
    assert not (place / "private_key.pem").exists()
    read_material(TlsFiles(certificate=place / "certificate.pem", private_key=private, ca=place / "ca.pem"))
    _, again = make_request(tmp_path, "")
    assert pki(own, "renew", "service", "deployer", "--request", str(again)).exit_code == 0


def test_a_request_that_cannot_be_signed_is_one_sentence(own: SiteCertificates, tmp_path: Path) -> None:
    _, request = make_request(tmp_path, "user:bob")
    done = pki(own, "issue", "user", "alice", "--request", str(request))
    assert (done.exit_code, "asks for a certificate of 'user:bob', not of user alice" in done.output) == (
        ExitCode.USAGE,
        True,
    )
    request.write_text("nothing")
    done = pki(own, "issue", "user", "alice", "--request", str(request))
    assert "is no certificate request in PEM form" in done.output
    _, weak = make_request(tmp_path, "user:alice", "-newkey", "rsa:1024")
    done = pki(own, "issue", "user", "alice", "--request", str(weak))
    assert (done.exit_code, "an RSA key of 2048 bits or more" in done.output) == (ExitCode.USAGE, True)
    assert own.authority.issued() == []


def test_an_authority_of_an_earlier_release_makes_room_for_logins(own: SiteCertificates) -> None:
    alice = own.issue("user", "alice")
    # As releases before made it: nothing may stand below it.
    path = own.authority.certificate_file
    before = x509.load_pem_x509_certificate(path.read_bytes())
    key = load_pem_private_key((own.directory / "ca.key").read_bytes(), password=None)
    old = (
        x509.CertificateBuilder()
        .subject_name(before.subject)
        .issuer_name(before.subject)
        .public_key(before.public_key())
        .serial_number(before.serial_number)
        .not_valid_before(before.not_valid_before_utc)
        .not_valid_after(before.not_valid_after_utc)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())  # type: ignore[arg-type]
    )
    path.write_bytes(old.public_bytes(Encoding.PEM))
    done = pki(own, "issue", "authority", "login")
    assert done.exit_code == 0, done.output
    assert "is new, with the same key: copy it to every host first" in done.output
    renewed = x509.load_pem_x509_certificate(path.read_bytes())
    assert renewed.extensions.get_extension_for_class(x509.BasicConstraints).value.path_length == 1
    assert renewed.not_valid_after_utc == before.not_valid_after_utc
    read_material(alice)
    assert path.read_bytes() == alice.ca.read_bytes()


@pytest.mark.parametrize(("days", "age", "said"), [(90, 80, "in 9 days"), (90, 70, ""), (1, 0, "")])
def test_a_long_certificate_is_said_to_end_two_weeks_before(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], days: int, age: int, said: str
) -> None:
    files = SiteCertificates(tmp_path / "pki", age=timedelta(days=age)).issue("user", "alice", days=days)
    for _ in range(2):
        warn_of_end(files.certificate)
    told = capsys.readouterr().err
    assert told.count("Your certificate") == bool(said)
    assert said in told


def test_the_sample_of_the_agent_has_every_key() -> None:
    sample = Path(__file__).parents[3] / "clients" / "login-agent.toml.sample"
    assert check_sample(sample, read_settings).inventory_address == "127.0.0.1:7401"
