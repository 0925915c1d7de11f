"""Where a command finds its configuration, its service and its key.

Rule: what was said on the command line wins, then the environment, then the configuration of this folder. Nothing here
makes a file.
"""

import os
from dataclasses import dataclass
from pathlib import Path

from openkls import client, config
from openkls.cli.screen import USAGE, fail
from openkls.client.credentials import ACCESS_KEY_VARIABLE, ENDPOINT_VARIABLE, SECRET_KEY_VARIABLE

CONFIG_NAME = "openkls.toml"
DATA_DIR_VARIABLE = "OPENKLS_SERVER__DATA_DIR"

_ANYWHERE = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - compared, not bound


@dataclass(frozen=True, slots=True)
class Access:
    """How to reach a service and as whom."""

    endpoint: str
    access_key: str
    secret_key: str
    region: str

    def __repr__(self) -> str:
        return f"Access({self.endpoint!r}, {self.access_key!r})"

    def open(self, bucket: str = "", retries: int = client.RETRIES_DEFAULT) -> client.Client:
        """A client for it, its calls counted in ``bucket``; ends the command when the endpoint is none."""
        try:
            return client.Client(
                self.endpoint, self.access_key, self.secret_key, self.region, bucket=bucket, retries=retries
            )
        except client.UsageError as error:
            fail(error.message, USAGE)


def data_dir() -> str:
    """The data folder of a service without a configuration, as it would be written into one."""
    return os.environ.get(DATA_DIR_VARIABLE) or config.Server().data_dir


def find_config(given: Path | None) -> Path | None:
    """The file to use: the one given, ./openkls.toml, the data folder's; None when there is none."""
    if given is not None:
        return given
    for path in (Path(CONFIG_NAME), Path(data_dir(), CONFIG_NAME)):
        if path.is_file():
            return path
    return None


def load_config(path: Path | None) -> config.Config:
    """Read a configuration; ends the command with the key at fault."""
    try:
        return config.load(path, os.environ)
    except config.ConfigError as error:
        fail(str(error))


def local_config(given: Path | None) -> config.Config:
    """The configuration of this folder; ends the command when there is none."""
    path = find_config(given)
    if path is None:
        fail(f"no ./{CONFIG_NAME} and no {data_dir()}/{CONFIG_NAME} here; start `openkls serve` once, or give --config")
    return load_config(path)


def find_access(
    given: Path | None, endpoint: str | None, access_key: str | None, secret_key: str | None, region: str | None
) -> Access:
    """Everything a call needs; what is None is taken from the local configuration."""
    local: config.Config | None = None
    if given is not None or not (endpoint and access_key and secret_key):
        path = find_config(given)
        local = load_config(path) if path is not None else None
    if not endpoint:
        if local is None:
            fail(
                f"no service known: give --endpoint or {ENDPOINT_VARIABLE}, or run this where a service has its folder"
            )
        endpoint = local_endpoint(local)
    if not (access_key and secret_key):
        access_key, secret_key = _local_key(local, access_key)
    if region is None:
        region = local.server.region if local is not None else client.REGION_DEFAULT
    return Access(endpoint, access_key, secret_key, region)


def local_endpoint(local: config.Config) -> str:
    """The API's URL as seen from this machine."""
    address = config.parse_address(local.api.listen, "api.listen")
    if address.port == 0:
        fail("the configuration leaves the API's port to the system; give --endpoint")
    return f"http://{authority(reachable(address.host), address.port)}"


def reachable(host: str) -> str:
    """An address to connect to for one that is listened on."""
    return _ANYWHERE.get(host, host)


def authority(host: str, port: int) -> str:
    """``host:port`` as a URL has it."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _local_key(local: config.Config | None, access_key: str | None) -> tuple[str, str]:
    keys = [key for account in local.account for key in account.key] if local is not None else []
    for key in keys:
        if access_key in (None, "", key.access_key):
            return key.access_key, key.secret_key
    if access_key:
        return fail(f"no secret for {access_key}: put it into {SECRET_KEY_VARIABLE}")
    return fail(f"no key pair known: put one into {ACCESS_KEY_VARIABLE} and {SECRET_KEY_VARIABLE}")
