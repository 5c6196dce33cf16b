"""A project's guideline, from markdown to HTML that is safe to show. Pure."""

import nh3
from markdown_it import MarkdownIt

_markdown = MarkdownIt("commonmark", {"html": False}).enable("table")


def guideline_html(markdown: str) -> str:
    """HTML of `markdown`: raw HTML in it stays text, links open without a referrer, scripts cannot survive."""
    return nh3.clean(_markdown.render(markdown), link_rel="noopener noreferrer nofollow")
