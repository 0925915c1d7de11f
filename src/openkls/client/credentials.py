"""Where the key pair and the endpoint come from: arguments, the environment, then the files of the official SDK."""

import configparser
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from openkls.client.errors import UsageError

ENDPOINT_DEFAULT: Final = "http://127.0.0.1:8080"
ENDPOINT_VARIABLE: Final = "OPENKLS_ENDPOINT"
ACCESS_KEY_VARIABLE: Final = "OPENKLS_ACCESS_KEY"
SECRET_KEY_VARIABLE: Final = "OPENKLS_SECRET_KEY"  # noqa: S105 - the name of a variable
FILES: Final = (Path(".kscore.cfg"), Path("/etc/kscore.cfg"))
SECTION: Final = "Credentials"


@dataclass(frozen=True, slots=True)
class Credentials:
    """A key pair; its secret is in no representation."""

    access_key: str
    secret_key: str = field(repr=False)


def find_credentials(
    access_key: str | None = None,
    secret_key: str | None = None,
    environment: Mapping[str, str] | None = None,
    files: Sequence[Path] = FILES,
) -> Credentials:
    """The first whole pair of: the arguments, the environment, ./.kscore.cfg, /etc/kscore.cfg.

    Half a pair is an error where it stands: the other half of another place would sign with a pair that is none.
    Raises UsageError.
    """
    if access_key is not None or secret_key is not None:
        return _pair(access_key, secret_key, "the arguments")
    known = os.environ if environment is None else environment
    if known.get(ACCESS_KEY_VARIABLE) or known.get(SECRET_KEY_VARIABLE):
        return _pair(known.get(ACCESS_KEY_VARIABLE), known.get(SECRET_KEY_VARIABLE), "the environment")
    for path in files:
        if path.is_file():
            return _read(path)
    places = f"the arguments, {ACCESS_KEY_VARIABLE} and {SECRET_KEY_VARIABLE}, {', '.join(map(str, files))}"
    raise UsageError(f"an access key and its secret key are needed; looked for in {places}")


def find_endpoint(endpoint: str | None = None, environment: Mapping[str, str] | None = None) -> str:
    """The argument, else the environment's, else this machine: never the cloud's."""
    known = os.environ if environment is None else environment
    return endpoint if endpoint is not None else known.get(ENDPOINT_VARIABLE) or ENDPOINT_DEFAULT


def _read(path: Path) -> Credentials:
    parser = configparser.ConfigParser(interpolation=None)
    try:
        parser.read_string(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, configparser.Error) as error:
        # Without the parser's own words: they hold lines of the file, and with them the secret.
        raise UsageError(f"{path} cannot be read as a file of credentials ({type(error).__name__})") from None
    section = parser[SECTION] if parser.has_section(SECTION) else {}
    return _pair(section.get("ks_access_key_id"), section.get("ks_secret_access_key"), str(path))


def _pair(access_key: str | None, secret_key: str | None, place: str) -> Credentials:
    if not access_key or not secret_key:
        raise UsageError(f"an access key and its secret key are needed, and {place} has not both")
    return Credentials(access_key, secret_key)
