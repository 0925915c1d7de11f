"""What a process of a service is. Rule: facts only."""

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path


class Role(StrEnum):
    """What a process serves."""

    ALL = "all"
    API = "api"
    MEDIA = "media"


@dataclass(frozen=True, slots=True)
class Place:
    """What sets a process apart from others that share a configuration: its own folder (None: the data folder, which
    then nobody else may use), and whether it shares its media ports with them."""

    folder: Path | None = None
    shares_ports: bool = False


WHOLE = Place()
