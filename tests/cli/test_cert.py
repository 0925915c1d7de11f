"""`openkls cert`: what it makes, what it leaves alone, and that clients take it."""

import ssl
import stat
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from typer.testing import Result

from openkls.api import tls
from openkls.cli.cert import CERTIFICATE_FILE, KEY_FILE, VALID_DAYS
from openkls.config import ConfigError, load

Run = Callable[..., Result]


def made(folder: Path) -> x509.Certificate:
    return x509.load_pem_x509_certificate((folder / CERTIFICATE_FILE).read_bytes())


def names(certificate: x509.Certificate) -> list[str]:
    return [
        str(name.value) for name in certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    ]


def test_certificate_is_for_this_machine_unless_told_otherwise(run: Run, folder: Path) -> None:
    result = run("cert")
    assert result.exit_code == 0
    assert result.stdout.split() == [str(folder / CERTIFICATE_FILE), str(folder / KEY_FILE)]
    assert names(made(folder)) == ["localhost", "127.0.0.1", "::1"]


def test_hosts_are_names_and_addresses(run: Run, folder: Path) -> None:
    result = run("cert", "--host", "KLS.example.com.", "--host", "*.example.com", "--host", "192.0.2.1")
    assert result.exit_code == 0
    assert names(made(folder)) == ["kls.example.com", "*.example.com", "192.0.2.1"]


@pytest.mark.parametrize("host", ["", "a b", "-a", "a/b", "a" * 64, "*", "a.*.b"])
def test_host_that_is_none_is_refused(run: Run, folder: Path, host: str) -> None:
    result = run("cert", "--host", host)
    assert result.exit_code == 2
    assert "is no host name" in result.stderr
    assert not list(folder.iterdir())


def test_longest_host_is_let_in(run: Run, folder: Path) -> None:
    host = f"{'a' * 63}.{'b' * 63}"
    assert run("cert", "--host", host).exit_code == 0
    assert names(made(folder)) == [host]


def test_key_is_its_owners_alone_and_fits(run: Run, folder: Path) -> None:
    run("cert", "--out", "new/folder")
    key = folder / "new/folder" / KEY_FILE
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    private = serialization.load_pem_private_key(key.read_bytes(), None)
    assert private.public_key() == made(key.parent).public_key()
    assert sorted(path.name for path in key.parent.iterdir()) == [CERTIFICATE_FILE, KEY_FILE], "and nothing beside"


def test_certificate_holds_for_its_days_and_vouches_for_no_other(run: Run, folder: Path) -> None:
    run("cert")
    certificate = made(folder)
    assert (certificate.not_valid_after_utc - certificate.not_valid_before_utc).days == VALID_DAYS
    assert certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca is False


@pytest.mark.parametrize("there", [CERTIFICATE_FILE, KEY_FILE])
def test_what_is_there_is_replaced_only_by_force(run: Run, folder: Path, there: str) -> None:
    (folder / there).write_text("of somebody")
    result = run("cert")
    assert result.exit_code == 1
    assert f"{there} is there already" in result.stderr
    assert [path.name for path in folder.iterdir()] == [there]
    assert (folder / there).read_text() == "of somebody"
    assert run("cert", "--force").exit_code == 0
    assert names(made(folder)) == ["localhost", "127.0.0.1", "::1"]
    assert stat.S_IMODE((folder / KEY_FILE).stat().st_mode) == 0o600


def test_folder_that_is_a_file_is_one_line(run: Run, folder: Path) -> None:
    (folder / "file").write_text("")
    result = run("cert", "--out", "file")
    assert result.exit_code == 1
    assert len(result.stderr.splitlines()) == 1


def test_how_to_use_it_is_told_and_is_right(run: Run, folder: Path) -> None:
    told = run("cert").stderr
    assert f"curl --cacert {folder / CERTIFICATE_FILE} https://localhost:8443/" in told
    assert f'verify="{folder / CERTIFICATE_FILE}"' in told
    lines = told.splitlines()
    start = lines.index("  [api]")
    (folder / "openkls.toml").write_text("\n".join(lines[start : start + 4]))
    api = load(folder / "openkls.toml", {}).api
    assert api.tls_listen
    tls.Certificate(Path(api.tls_certificate), Path(api.tls_key))


def test_tls_without_a_certificate_is_pointed_here() -> None:
    with pytest.raises(ConfigError, match="openkls cert"):
        load(None, {"OPENKLS_API__TLS_LISTEN": "127.0.0.1:8443"})


@pytest.mark.parametrize("strict", [0, ssl.VERIFY_X509_STRICT])  # Python's default from 3.13 on
def test_clients_take_it_for_its_hosts_and_for_no_other(run: Run, folder: Path, strict: int) -> None:
    run("cert", "--host", "kls.example.com", "--host", "192.0.2.1")
    server = tls.Certificate(folder / CERTIFICATE_FILE, folder / KEY_FILE).context
    client = ssl.create_default_context(cafile=folder / CERTIFICATE_FILE)
    client.verify_flags |= strict
    for host in ("kls.example.com", "192.0.2.1"):
        shake_hands(server, client, host)
    with pytest.raises(ssl.SSLCertVerificationError):
        shake_hands(server, client, "other.example.com")


def shake_hands(server: ssl.SSLContext, client: ssl.SSLContext, host: str) -> None:
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    asking = client.wrap_bio(to_client, to_server, server_hostname=host)
    asked = server.wrap_bio(to_server, to_client, server_side=True)
    for side in (asking, asked, asking, asked):
        try:
            side.do_handshake()
        except ssl.SSLWantReadError:
            continue
    assert asking.version() == "TLSv1.3"


def test_check_config_reads_the_certificate(run: Run, folder: Path) -> None:
    run("cert")
    (folder / "openkls.toml").write_text(
        f'[api]\ntls_listen = "127.0.0.1:8443"\ntls_certificate = "{CERTIFICATE_FILE}"\ntls_key = "{KEY_FILE}"\n'
    )
    assert "HTTPS on 127.0.0.1:8443" in run("check-config").stdout
    (folder / KEY_FILE).unlink()
    result = run("check-config")
    assert result.exit_code == 1
    assert f"api.tls_key: {KEY_FILE}: cannot be read" in result.stderr
