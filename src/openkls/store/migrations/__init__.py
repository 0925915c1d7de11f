"""The history of the schema, for Alembic. Rule: a step never changes once released, and there is no way back."""
