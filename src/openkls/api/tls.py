"""The certificate of the HTTPS port, and its change while the service runs.

Rule: what cannot be used never replaces what is used.

Theory of operation. Connections are accepted with one context, whose callback at the client's hello swaps in the newest
good one, so that a certificate and its key change together. The files are looked at every POLL_SECONDS; when either has
changed both are read into a new context, and only if they fit it becomes the newest. A file that is being written is
read broken, said so once, and read again when it changes next.
"""

import asyncio
import logging
import os
import ssl
from pathlib import Path
from typing import Final

from cryptography import x509

log = logging.getLogger("openkls.api.tls")

# A renewed certificate is in use after so long. Two calls of stat each time.
POLL_SECONDS: Final = 2.0
# Two round trips over a satellite; asyncio's own is a minute.
HANDSHAKE_SECONDS: Final = 10.0
# A client that does not answer our farewell.
FAREWELL_SECONDS: Final = 2.0
# TLS 1.2: forward secrecy and authenticated encryption only (RFC 9325, 4.2); 1.3 has no others.
CIPHERS_TLS_1_2: Final = "ECDHE+AESGCM:ECDHE+CHACHA20:@SECLEVEL=2"


class CertificateError(Exception):
    """A certificate or its key cannot be used; ``key`` is the configuration's, the text says why."""

    def __init__(self, key: str, text: str) -> None:
        super().__init__(text)
        self.key = key


class Certificate:
    """The certificate chain and the key in two PEM files, as the newest good state of both."""

    def __init__(self, certificate: Path, key: Path) -> None:
        """Reads both. Raises CertificateError."""
        self._files = (certificate, key)
        self._seen = self._look()
        self.context = self._newest = _new_context(certificate, key)
        """What to accept connections with."""
        self.context.sni_callback = self._choose
        self.expires_at = _expiry(certificate)
        """When what is used ends, in Unix seconds."""
        self._timer: asyncio.TimerHandle | None = None
        self.reloads = 0
        self.failures = 0
        """Changes of the files that were taken up, and that were not."""

    def watch(self) -> None:
        """Look at the files from now on, until ``close``."""
        self._timer = asyncio.get_running_loop().call_later(POLL_SECONDS, self._poll)

    def close(self) -> None:
        """Stop looking. Idempotent."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def reload(self) -> None:
        """Take up the files if they have changed and are good; say so, or once why not."""
        seen = self._look()
        if seen == self._seen:
            return
        self._seen = seen
        try:
            newest, expires_at = _new_context(*self._files), _expiry(self._files[0])
        except CertificateError as error:
            self.failures += 1
            log.warning("api.%s: %s; the certificate of before stays in use", error.key, error)
        else:
            self._newest, self.expires_at = newest, expires_at
            self.reloads += 1
            log.info("a new certificate was read from %s", self._files[0])

    def _poll(self) -> None:
        self.reload()
        self.watch()

    def _choose(self, connection: ssl.SSLObject, _name: str | None, _first: ssl.SSLContext) -> None:
        # Called for a hello without a server name too; the session of before goes on in its own context.
        connection.context = self._newest

    def _look(self) -> tuple[object, ...]:
        return tuple(_state_of(path) for path in self._files)


def _new_context(certificate: Path, key: Path) -> ssl.SSLContext:
    for name, path in (("tls_certificate", certificate), ("tls_key", key)):
        try:
            with path.open("rb"):
                pass
        except OSError as error:
            raise CertificateError(name, f"{path}: cannot be read: {error.strerror or error}") from error
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(CIPHERS_TLS_1_2)
    context.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_COMPRESSION | ssl.OP_CIPHER_SERVER_PREFERENCE
    context.set_alpn_protocols(["http/1.1"])
    try:
        # Without a password OpenSSL would ask the terminal for that of an encrypted key.
        context.load_cert_chain(certificate, key, password="")
    except (ssl.SSLError, ValueError) as error:
        reason = (getattr(error, "reason", None) or "no PEM").replace("_", " ").lower()
        raise CertificateError(
            "tls_certificate",
            f"{certificate} and {key} cannot be used: {reason}; a PEM chain and its unencrypted key expected",
        ) from error
    except OSError as error:
        raise CertificateError("tls_certificate", f"{certificate}: {error.strerror or error}") from error
    return context


def _expiry(path: Path) -> float:
    """When the first certificate of a chain ends, which is the server's own."""
    try:
        return x509.load_pem_x509_certificates(path.read_bytes())[0].not_valid_after_utc.timestamp()
    except (OSError, ValueError) as error:
        raise CertificateError("tls_certificate", f"{path}: cannot be read: {error}") from error


def _state_of(path: Path) -> tuple[int, int, int] | None:
    try:
        state = os.stat(path)
    except OSError:
        return None
    return (state.st_ino, state.st_size, state.st_mtime_ns)
