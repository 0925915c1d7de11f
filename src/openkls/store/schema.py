"""Brings the schema up to date at the start. Rule: all steps in one transaction; never towards an older schema."""

import logging
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, inspect, text

from openkls.store.errors import SetupError

_log = logging.getLogger("openkls.store")

STEPS = Path(__file__).parent / "migrations"


def migrate(connection: Connection) -> None:
    """Take the missing steps; the caller has begun a transaction and commits it.

    Raises SetupError when the schema is one that this version does not know.
    """
    config = Config()
    config.set_main_option("script_location", str(STEPS).replace("%", "%%"))
    config.attributes["connection"] = connection
    script = ScriptDirectory.from_config(config)
    known = {step.revision for step in script.walk_revisions()}
    found = revision(connection)
    if found is not None and found not in known:
        raise SetupError(
            f"the database has schema {found}, this version of OpenKLS knows none newer than "
            f"{script.get_current_head()}; run the newer version, or restore the backup made before the upgrade"
        )
    if found is not None and found != script.get_current_head():
        _log.info("the schema %s is brought to %s; with much history, minutes", found, script.get_current_head())
    command.upgrade(config, "head")


def revision(connection: Connection) -> str | None:
    """The schema there is; None in an empty database."""
    if not inspect(connection).has_table("alembic_version"):
        return None
    found: str | None = connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
    return found
