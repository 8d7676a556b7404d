"""Commands of the command line that have a family of their own; `preceptor.cli` binds them together."""
