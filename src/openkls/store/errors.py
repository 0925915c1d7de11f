"""What keeps the store from starting. Rule: the text says what was found and what the operator has to do."""


class SetupError(Exception):
    """The store cannot start as things are set up: nobody's request, no bug; for the operator to put right."""
