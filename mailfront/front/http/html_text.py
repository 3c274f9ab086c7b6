"""HTML and plain text of mail made safe to stand in our own page.

HTML goes through nh3 with a list of allowed tags and attributes: no scripts, styles, forms, frames,
classes or ids remain, links open apart and tell nothing about us, and of images only those that
came inside the message. The page's content security policy stands behind that.
"""

from __future__ import annotations

import html
import re
from collections.abc import Callable
from dataclasses import dataclass

import nh3
from markupsafe import Markup, escape

# The sanitiser's tree costs the square of nesting and of attributes: bounded before it is built.
HTML_LIMIT = 512 * 1024
TAG_LIMIT = 8000

# fmt: off
_TAGS = {
    "a", "abbr", "address", "article", "aside", "b", "bdi", "bdo", "big", "blockquote", "br",
    "caption", "center", "cite", "code", "col", "colgroup", "dd", "del", "details", "dfn", "div",
    "dl", "dt", "em", "figcaption", "figure", "font", "footer", "h1", "h2", "h3", "h4", "h5", "h6",
    "header", "hr", "i", "img", "ins", "kbd", "li", "mark", "ol", "p", "pre", "q", "rp", "rt",
    "ruby", "s", "samp", "section", "small", "span", "strike", "strong", "sub", "summary", "sup",
    "table", "tbody", "td", "tfoot", "th", "thead", "time", "tr", "tt", "u", "ul", "var", "wbr",
}
# fmt: on
_ATTRIBUTES = {
    "*": {"dir", "lang", "title"},
    "a": {"href"},
    "col": {"span"},
    "img": {"alt", "height", "src", "width"},
    "ol": {"start"},
    "td": {"align", "colspan", "rowspan", "valign"},
    "th": {"align", "colspan", "rowspan", "valign"},
}
_EMBEDDED_IMAGE = re.compile(r"data:image/(?:png|gif|jpeg|webp);base64,[A-Za-z0-9+/=\s]*")
_TAG = re.compile(r"<[A-Za-z/!?][^<>]*>")
_INVISIBLE = re.compile(r"(?is)<(style|script|head|title)\b")
_OPENING = re.compile(r"<[A-Za-z]")
_LINE_TAG = re.compile(r"(?i)<(?:br|/p|/div|/tr|/li|/h[1-6]|/blockquote)\b[^<>]*>")
_LINK = re.compile(r"https?://[^\s<>\"'\x00-\x1f]{1,2000}")
_LINK_TAIL = ".,;:!?)]}"


@dataclass(frozen=True, slots=True)
class SafeHtml:
    """Sanitised HTML; `remote_blocked` tells that remote images were left out."""

    markup: Markup
    remote_blocked: bool


def sanitise(source: str, image_address: Callable[[str], str | None]) -> SafeHtml:
    """Make `source` safe. `image_address` gives the address of the image that came inside the
    message under a Content-ID (without angle brackets), or None."""
    if len(source) > HTML_LIMIT or len(_OPENING.findall(source)) > TAG_LIMIT:
        return SafeHtml(text_markup(html_to_text(source[: 4 * HTML_LIMIT])), remote_blocked=False)
    blocked = False

    def keep(tag: str, attribute: str, value: str) -> str | None:
        nonlocal blocked
        if attribute == "href":
            return value if value.lower().startswith(("http:", "https:", "mailto:")) else None
        if tag != "img" or attribute != "src":
            return value
        if value.lower().startswith("cid:"):
            return image_address(value[4:])
        if _EMBEDDED_IMAGE.fullmatch(value):
            return value
        blocked = True
        return None

    markup = nh3.clean(
        source,
        tags=_TAGS,
        attributes=_ATTRIBUTES,
        attribute_filter=keep,
        link_rel="noopener noreferrer nofollow",
        set_tag_attribute_values={"a": {"target": "_blank"}},
        url_schemes={"http", "https", "mailto", "cid", "data"},
    )
    return SafeHtml(Markup(markup), blocked)  # noqa: S704 - the sanitiser's output


def html_to_text(source: str) -> str:
    """A rough plain text of HTML, for quoting and for what is too large to be shown formatted."""
    pieces, place = [], 0
    while match := _INVISIBLE.search(source, place):
        pieces.append(source[place : match.start()])
        end = re.compile(rf"(?i)</{match[1]}\s*>").search(source, match.end())
        if end is None:
            place = len(source)
            break
        place = end.end()
    pieces.append(source[place:])
    lines = _LINE_TAG.sub("\n", " ".join("".join(pieces).split()))
    text = html.unescape(_TAG.sub("", lines))
    return "\n".join(line.strip() for line in text.split("\n")).strip() + "\n"


def text_markup(text: str) -> Markup:
    """Plain text as HTML: escaped, links made, quoted lines marked; line breaks are kept by CSS."""
    pieces: list[Markup] = []
    quoted: list[str] = []
    plain: list[str] = []
    for line in text.splitlines():
        is_quote = line.startswith(">")
        if is_quote and plain:
            pieces.append(_linked("\n".join(plain) + "\n"))
            plain = []
        elif not is_quote and quoted:
            pieces.append(
                Markup('<span class="quote">{}</span>').format(_linked("\n".join(quoted)))
            )
            quoted = []
        (quoted if is_quote else plain).append(line)
    if quoted:
        pieces.append(Markup('<span class="quote">{}</span>').format(_linked("\n".join(quoted))))
    pieces.append(_linked("\n".join(plain)))
    return Markup("").join(pieces)


def _linked(text: str) -> Markup:
    pieces: list[Markup] = []
    place = 0
    for match in _LINK.finditer(text):
        address = match[0].rstrip(_LINK_TAIL)
        pieces.append(escape(text[place : match.start()]))
        pieces.append(
            Markup(
                '<a href="{0}" target="_blank" rel="noopener noreferrer nofollow">{0}</a>'
            ).format(address)
        )
        place = match.start() + len(address)
    pieces.append(escape(text[place:]))
    return Markup("").join(pieces)
