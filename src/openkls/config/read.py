"""Reading the configuration: a TOML file, and the environment over it. Rule: read whole and checked, or refused."""

import os
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, get_origin

import msgspec

from openkls.config.check import check
from openkls.config.names import ConfigError
from openkls.config.tree import Config

ENVIRONMENT_PREFIX = "OPENKLS_"


def load(path: Path | None, environment: Mapping[str, str] = os.environ) -> Config:
    """Read a file (None: the defaults alone), lay the environment over it, check it. Raises ConfigError."""
    tree: dict[str, Any] = {}
    if path is not None:
        try:
            tree = tomllib.loads(path.read_text("utf-8"))
        except OSError as error:
            raise ConfigError(f"{path}: cannot be read: {error.strerror}") from error
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise ConfigError(f"{path}: is not TOML: {error}") from error
    _lay_over(tree, environment)
    try:
        config = msgspec.convert(tree, Config)
    except msgspec.ValidationError as error:
        raise ConfigError(f"{path or 'configuration'}: {_plain(str(error))}") from error
    check(config)
    return config


def _lay_over(tree: dict[str, Any], environment: Mapping[str, str]) -> None:
    """``OPENKLS_<SECTION>__<KEY>`` replaces one key; a list or number is written as in TOML."""
    sections = {field.name: field.type for field in msgspec.structs.fields(Config) if field.name != "account"}
    for variable, text in environment.items():
        section, separator, key = variable.removeprefix(ENVIRONMENT_PREFIX).lower().partition("__")
        if not variable.startswith(ENVIRONMENT_PREFIX) or not separator:
            continue
        types = (
            {field.name: field.type for field in msgspec.structs.fields(sections[section])}
            if section in sections
            else {}
        )
        if key not in types:
            raise ConfigError(f"environment variable {variable}: there is no key [{section}] {key}")
        value: Any = text
        if types[key] is not str and get_origin(types[key]) is not Literal:  # whose words are texts too
            try:
                value = tomllib.loads(f"value = {text}")["value"]
            except tomllib.TOMLDecodeError as error:
                raise ConfigError(f"environment variable {variable}: {text!r} is no TOML value") from error
        table = tree.setdefault(section, {})
        if isinstance(table, dict):  # else the file is at fault, and is told so when the tree is read
            table[key] = value


def _plain(text: str) -> str:
    """msgspec's account of a mismatch with its path written as the file's keys are."""
    message, _, path = text.partition(" - at `$")
    keys = re.sub(r"\[\.*(\d*)\]", r"[\1]", path.rstrip("`")).lstrip(".")
    return f"{keys}: {message}" if keys else message
