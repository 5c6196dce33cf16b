"""What becomes of text on its way to us and back. Pure."""


def typed(value: str) -> str:
    """`value` with the line ends it had: forms send each as CRLF (HTML, "constructing the entry list")."""
    return value.replace("\r\n", "\n")


def is_whole(text: str) -> bool:
    """Whether it can be sent and stored: JSON can bring half characters (lone surrogates)."""
    return whole(text) == text


def whole(text: str) -> str:
    """The text with a question mark for each half character."""
    return text.encode(errors="replace").decode()
