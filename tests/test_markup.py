"""Text from outside stays text, whatever it holds."""

from __future__ import annotations

from html.parser import HTMLParser

from hypothesis import given
from hypothesis import strategies as st

from facewitness.markup import document, element


class Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.text += data


@given(st.text(st.characters(min_codepoint=32, exclude_categories=("Cs", "Cc"))))
def test_no_text_becomes_markup(text):
    reader = Reader()
    reader.feed(document(element("html", element("p", text, element("b", text), text, title=text))))
    assert [tag for tag, _ in reader.tags] == ["html", "p", "b"]
    assert reader.tags[1][1] == {"title": text}
    assert reader.text.count(text) >= 3


def test_attributes_are_named_as_html_names_them_and_what_is_none_is_left_out():
    made = element("td", None, "a", class_="x", data_finding=3, colspan=None, width=1 / 3)
    assert made.attrib == {"class": "x", "data-finding": "3", "width": "0.333333"}
    assert made.text == "a"
