"""Quoting for the languages of the texts that pages offer to copy: YAML, Compose, Groovy and Ruby. For a shell, see shlex."""


def quote_groovy(text: str) -> str:
    """Return a Groovy string in which nothing is interpolated: `$` is left to the shell."""
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'").replace("\n", "\\n") + "'"


def quote_yaml(text: str) -> str:
    """Return a double-quoted YAML scalar on one line."""
    return '"' + "".join(_escape_for_yaml(character) for character in text) + '"'


def _escape_for_yaml(character: str) -> str:
    if character in '"\\':
        return f"\\{character}"
    return character if character.isprintable() else f"\\U{ord(character):08x}"


def write_yaml_block(text: str, indent: int) -> str:
    """Return one line as a literal block, so that the quotes in it stay as they are; quoted where a block cannot hold it."""
    return f"|-\n{' ' * indent}{text}" if text.isprintable() else quote_yaml(text)


def quote_ruby(text: str) -> str:
    """Return a Ruby string in which nothing is interpolated."""
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def quote_compose(text: str) -> str:
    """Return a YAML scalar in which Compose finds no variable."""
    return quote_yaml(text.replace("$", "$$"))
