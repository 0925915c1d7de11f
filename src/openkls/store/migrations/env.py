"""What Alembic runs: the steps, on the connection the caller has opened and begun a transaction on.

Rule: the caller commits, so that all the steps of a start are done or none is.
"""

from alembic import context

from openkls.store.tables import METADATA

context.configure(connection=context.config.attributes["connection"], target_metadata=METADATA)
context.run_migrations()
