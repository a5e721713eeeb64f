"""Markup: HTML and SVG as a tree of elements, so that text from outside stays text and never becomes markup."""

from __future__ import annotations

from xml.etree.ElementTree import Element, tostring

# After any other element comes a line break, so that a page's source can be read, too.
_INLINE = frozenset({"a", "bdi", "code", "i", "small", "span", "strong", "sup"})


def element(tag: str, *content: Element | str | None, **attributes: object) -> Element:
    """An element. `class_` is class, `data_finding` is data-finding; what is None is left out.

    Args:
        tag: Name of the element.
        *content: The file's bytes.
        **attributes: By name; `class_` is class, `data_finding` is data-finding; what is None is left out.
    """
    made = Element(tag)
    for name, value in attributes.items():
        if value is not None:
            text = f"{value:.6g}" if isinstance(value, float) else str(value)
            made.set(name.rstrip("_").replace("_", "-"), text)
    for part in content:
        if isinstance(part, Element):
            made.append(part)
        elif part is not None and len(made):
            made[-1].tail = (made[-1].tail or "") + part
        elif part is not None:
            made.text = (made.text or "") + part
    if tag not in _INLINE:
        made.tail = "\n"
    return made


def document(page: Element) -> str:
    """A whole page, from its element `html`.

    Args:
        page: The element `html`.
    """
    return "<!DOCTYPE html>\n" + tostring(page, encoding="unicode", method="html") + "\n"
