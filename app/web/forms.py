"""What browsers make of what people type into a form. Pure."""


def typed(value: str) -> str:
    """`value` with the line ends it had: forms send each as CRLF (HTML, "constructing the entry list")."""
    return value.replace("\r\n", "\n")
