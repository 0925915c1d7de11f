"""`openkls cert`: a self-signed certificate for development. Rule: what is there is replaced only when asked to.

The key is readable by its owner only, and both files appear whole or not at all: a running service watches them.
"""

import contextlib
import ipaddress
import os
import shlex
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Final

import typer
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from openkls.cli.screen import USAGE, fail, note, plain, say
from openkls.config import HOST_NAME

HOSTS_DEFAULT: Final = ("localhost", "127.0.0.1", "::1")
CERTIFICATE_FILE: Final = "openkls-cert.pem"
KEY_FILE: Final = "openkls-key.pem"
# Apple's systems trust no server certificate for longer, also none that was put there by hand.
VALID_DAYS: Final = 825
# Clocks of other machines are behind by minutes, not days.
VALID_BEFORE: Final = timedelta(days=1)
# RFC 5280, ub-common-name.
COMMON_NAME_LIMIT: Final = 64


def cert(
    host: Annotated[
        list[str] | None,
        typer.Option(
            "--host",
            metavar="NAME",
            help="Name or address that clients connect to; may be repeated.",
            show_default=False,
        ),
    ] = None,
    out: Annotated[Path, typer.Option("--out", "-o", metavar="DIR", help="The folder to write to.")] = Path(),
    force: Annotated[bool, typer.Option("--force", help="Replace the files that are there.")] = False,
) -> None:
    """Make a self-signed certificate and its key, for HTTPS in development.

    Without --host it is for localhost, 127.0.0.1 and ::1. In production use the certificate of an authority that your
    clients know.
    """
    names = [_general_name(text) for text in host or HOSTS_DEFAULT]
    certificate_path, key_path = out / CERTIFICATE_FILE, out / KEY_FILE
    there = [path for path in (certificate_path, key_path) if path.exists()]
    if there and not force:
        fail(f"{there[0]} is there already; --force replaces it, --out DIR writes elsewhere")
    certificate, key = make_certificate(names)
    try:
        out.mkdir(parents=True, exist_ok=True)
        _write(key_path, key, 0o600)
        _write(certificate_path, certificate, 0o644)
    except OSError as error:
        fail(f"{error.filename or out}: cannot be written: {error.strerror or error}")
    _explain(certificate_path, key_path, str((host or HOSTS_DEFAULT)[0]))


def make_certificate(names: list[x509.GeneralName]) -> tuple[bytes, bytes]:
    """A self-signed certificate for a server of these names, and its key, both PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, str(names[0].value)[:COMMON_NAME_LIMIT])])
    now = datetime.now(UTC)
    own = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    usage = x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=False,
        crl_sign=False,
        encipher_only=False,
        decipher_only=False,
    )
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - VALID_BEFORE)
        .not_valid_after(now + timedelta(days=VALID_DAYS) - VALID_BEFORE)
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        # Trusted for itself, it vouches for no other.
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(own, critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(own), critical=False)
        .sign(key, hashes.SHA256())
    )
    secret = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return certificate.public_bytes(serialization.Encoding.PEM), secret


def _general_name(text: str) -> x509.GeneralName:
    with contextlib.suppress(ValueError):
        return x509.IPAddress(ipaddress.ip_address(text))
    name = text.lower().removesuffix(".")
    if not HOST_NAME.fullmatch(name.removeprefix("*.")):
        fail(f"--host {text}: is no host name and no address", USAGE)
    return x509.DNSName(name)


def _write(path: Path, content: bytes, mode: int) -> None:
    """Write a file beside its place, then put it there."""
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
            file.write(content)
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)


def _explain(certificate: Path, key: Path, host: str) -> None:
    certificate, key = certificate.absolute(), key.absolute()
    say(plain(str(certificate)))
    say(plain(str(key)))
    url = f"https://{f'[{host}]' if ':' in host else host}:8443"
    for line in (
        "",
        "In openkls.toml:",
        "  [api]",
        '  tls_listen = "0.0.0.0:8443"',
        f'  tls_certificate = "{certificate}"',
        f'  tls_key = "{key}"',
        "With curl:",
        f"  curl --cacert {shlex.quote(str(certificate))} {url}/",
        "With the Python SDK:",
        f'  create_client("kls", "cn-beijing-6", endpoint_url="{url}", verify="{certificate}", ...)',
        f"It is good for {VALID_DAYS} days, and for development: nobody but those you give it to trusts it.",
    ):
        note(plain(line))
