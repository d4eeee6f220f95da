"""Texts of a bundle out of templates: Jinja's, with nothing escaped, for files that are no HTML."""

from __future__ import annotations

import re
from importlib.resources import files as resources
from typing import Any

from sanderling.deploy.literals import kotlin, swift


def render(package: str, template: str, **values: Any) -> str:
    """Fills a template in.

    Args:
        package: the module whose folder ``templates`` holds it; that of ``sanderling.deploy`` holds parts
            that it includes.
        template: the file's name.
        values: for the template, which passes them through a filter where it writes code or Markdown: ``py``,
            ``comment``, ``md``, ``tojson``, ``kotlin``, ``swift``, ``xml``.
    """
    from jinja2 import ChoiceLoader, DictLoader, Environment, StrictUndefined

    loaders = [DictLoader(_texts(name)) for name in (package, "sanderling.deploy")]
    environment = Environment(
        loader=ChoiceLoader(loaders), undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True,
        keep_trailing_newline=True, autoescape=False,  # noqa: S701 - none of these is HTML
    )  # fmt: skip
    environment.filters |= {"py": repr, "comment": comment, "md": markdown, "xml": xml}
    environment.filters |= {"kotlin": kotlin, "swift": swift}
    return environment.get_template(template).render(**values)


def _texts(package: str) -> dict[str, str]:
    folder = resources(package) / "templates"
    if not folder.is_dir():
        return {}
    return {each.name: each.read_text("utf-8") for each in folder.iterdir() if each.name.endswith(".j2")}


def comment(text: object) -> str:
    """Returns: a text that ends no comment of C, Python or Kotlin, and continues none on the next line."""
    return re.sub(r"[^ -~]|\*/|/\*|\\|\?\?", "_", str(text))[:200]


def markdown(text: object) -> str:
    """Returns: a text that Markdown shows as it is."""
    return re.sub(r"([\\`*_{}\[\]<>#|])", r"\\\1", " ".join(str(text).split()))


def xml(text: object) -> str:
    """Returns: a text for an XML element or a quoted attribute, without what XML has no way to say."""
    from xml.sax.saxutils import escape

    said = re.sub("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]", "", str(text))
    return escape(said, {'"': "&quot;", "'": "&apos;"})
