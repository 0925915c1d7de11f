"""The steps, one module each, named by their order."""
