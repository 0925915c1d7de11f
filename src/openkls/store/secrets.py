"""Secrets at rest: the key file, and the sealing of secret keys with it. Rule: no secret in an error or a log line.

Theory of operation. The key file holds 32 random bytes as hexadecimal digits. The key that seals is derived from them
for this one purpose, so that the file can serve others too. A sealed secret is text: a version, then base64 of a
random 96-bit nonce and AES-256-GCM's output. The access key is authenticated along with it: a sealed secret moved to
another row does not open.
"""

import base64
import binascii
import os
import re
import secrets
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from openkls.store.datadir import read_whole, write_new
from openkls.store.errors import SetupError

SECRET_FILE = "secret.key"  # noqa: S105 - a name, not a secret
SECRET_BYTES = 32
# NIST SP 800-38D, 8.2.2: random nonces are safe for 2^32 seals under one key; key pairs are made by hand.
NONCE_BYTES = 12
SEALED_PREFIX = "v1:"
PURPOSE = b"openkls access keys 1"

_HEX = re.compile(rb"[0-9a-f]{64}\n?")


class SealBroken(Exception):
    """A sealed secret does not open: another key file, another row, or damage."""


def secret_path(configured: str, data_dir: Path) -> Path:
    """Where the key file is: ``[store] secret_file`` as configured, else in the data folder."""
    return Path(configured) if configured else data_dir / SECRET_FILE


def load_or_create_secret(path: Path) -> bytes:
    """The 32 bytes of the key file, made at random the first time, with mode 0600.

    Raises SetupError when others than its owner may read it, or when it is not such a file.
    """
    write_new(path, secrets.token_hex(SECRET_BYTES).encode("ascii") + b"\n")
    content = read_whole(path)
    mode = os.stat(path).st_mode & 0o777
    if mode & 0o077:
        raise SetupError(f"the secret file {path} has mode {mode:04o}, so others may use it; run: chmod 600 {path}")
    if _HEX.fullmatch(content) is None:
        raise SetupError(
            f"the secret file {path} does not hold 64 hexadecimal digits; restore it from a backup "
            "(without it the key pairs in the store cannot be read), or delete it if there are none"
        )
    return bytes.fromhex(content.decode("ascii"))


class Seal:
    """Seals and opens secret keys; ``secret`` is what ``load_or_create_secret`` returned."""

    def __init__(self, secret: bytes) -> None:
        if len(secret) != SECRET_BYTES:
            raise ValueError(f"got a secret of {len(secret)} bytes, expected {SECRET_BYTES}")
        derivation = HKDF(algorithm=SHA256(), length=SECRET_BYTES, salt=None, info=PURPOSE)
        self._cipher = AESGCM(derivation.derive(secret))

    def close(self, access_key: str, secret_key: str) -> str:
        """Seal ``secret_key`` for the row of ``access_key``; another text at every call."""
        nonce = os.urandom(NONCE_BYTES)
        sealed = self._cipher.encrypt(nonce, secret_key.encode(), access_key.encode())
        return SEALED_PREFIX + base64.b64encode(nonce + sealed).decode("ascii")

    def open(self, access_key: str, sealed: str) -> str:
        """What was sealed for the row of ``access_key``; SealBroken when it does not open."""
        if not sealed.startswith(SEALED_PREFIX):
            raise SealBroken(f"the secret of {access_key} is sealed in a way this version does not know")
        try:
            content = base64.b64decode(sealed.removeprefix(SEALED_PREFIX), validate=True)
            opened = self._cipher.decrypt(content[:NONCE_BYTES], content[NONCE_BYTES:], access_key.encode())
        except (binascii.Error, InvalidTag, ValueError) as error:
            raise SealBroken(f"the secret of {access_key} does not open with this secret file") from error
        return opened.decode()
