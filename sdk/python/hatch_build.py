"""Builds the wheel of openkls-client: openkls.client and the codec that it signs with, as one package of their own.

Rule: the source is that of the service; only the names of the packages in it differ. A wheel is built from the
repository, there is no source distribution.
"""

import re
import shutil
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

SOURCE = Path(__file__).resolve().parents[2] / "src" / "openkls"
PACKAGE = "openkls_client"
CODEC = f"{PACKAGE}.codec"
CODEC_FILES = ("__init__.py", "amzdate.py", "errors.py", "pushauth.py", "sigv4")
RENAMED = ((re.compile(r"\bopenkls\.client\b"), PACKAGE), (re.compile(r"\bopenkls\.codec\b"), CODEC))


def assemble(folder: Path) -> Path:
    """The package below ``folder``; its path."""
    package = folder / PACKAGE
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(SOURCE / "client", package, ignore=ignored)
    (package / "codec").mkdir()
    for name in CODEC_FILES:
        place = SOURCE / "codec" / name
        if place.is_dir():
            shutil.copytree(place, package / "codec" / name, ignore=ignored)
        else:
            shutil.copyfile(place, package / "codec" / name)
    (package / "py.typed").touch()
    for path in package.rglob("*.py"):
        text = path.read_text(encoding="utf-8")
        for pattern, name in RENAMED:
            text = pattern.sub(name, text)
        path.write_text(text, encoding="utf-8")
    return package


class Hook(BuildHookInterface):  # type: ignore[type-arg]
    """hatchling's hook: what the wheel holds is made in a folder that lives as long as the build."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Before the wheel is written."""
        self._folder = tempfile.TemporaryDirectory()
        build_data["force_include"][str(assemble(Path(self._folder.name)))] = PACKAGE
        build_data["force_include"][str(SOURCE.parents[1] / "LICENSE")] = f"{PACKAGE}/LICENSE"

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:
        """After it."""
        self._folder.cleanup()
