"""What a stranger says in SIP, made fit to be shown."""

TEXT_MAX = 128  # characters


def printable(text: str) -> str:
    """What a stranger said of itself, for a person's eyes: one short line without control or direction characters."""
    return "".join(each for each in text[: 4 * TEXT_MAX] if each.isprintable()).strip()[:TEXT_MAX]
