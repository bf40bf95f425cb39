"""Sphinx builds the site from the guides and the docstrings; `nox -s docs` puts them where Sphinx reads.

A name of the library in the text of a guide or a docstring becomes a link to its docstring. Warnings are errors, also a
reference to a name of ours that does not exist. Names of other projects are not looked up.
"""

from __future__ import annotations

import re
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from docutils import nodes
from sphinx.addnodes import pending_xref
from sphinx.application import Sphinx

from aioconnections import __version__

project = "aioconnections"
author = copyright = "The aioconnections authors"  # noqa: A001 # the name that Sphinx reads
release = version = __version__
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
html_theme = "furo"
html_title = f"aioconnections {__version__}"
myst_heading_anchors = 3
default_role = "code"
nitpicky = True
nitpick_ignore_regex = [("py:.*", r"(?!aioconnections\.).*")]
autodoc_member_order = "bysource"
autodoc_class_signature = "mixed"
autodoc_typehints = "signature"
autodoc_default_options = {"members": True, "undoc-members": False, "show-inheritance": True}
napoleon_google_docstring = True
napoleon_numpy_docstring = False
napoleon_use_ivar = True
napoleon_custom_sections = [("Options", "params_style"), ("Limits", "params_style")]
suppress_warnings = ["ref.python"]  # `type[X]` in an annotation is also the name of attributes
html_show_sourcelink = False

_MODULES = (
    "aioconnections",
    "aioconnections.atom",
    "aioconnections.cluster",
    "aioconnections.journal",
    "aioconnections.reference",
)


def _public() -> dict[str, str]:
    """The documented name of each public name, and of the place where it is defined."""
    found: dict[str, str] = {}
    for module in reversed(_MODULES):
        for name in import_module(module).__all__:
            value = getattr(import_module(module), name)
            where = f"{module}.{name}"
            found[name] = where
            found[f"{getattr(value, '__module__', module)}.{getattr(value, '__qualname__', name)}"] = where
    return found


PUBLIC = _public()
_NAME = re.compile(r"([A-Z]\w+)((?:\.\w+)?)(?:\(.*\))?")


def link_names(app: Sphinx, document: nodes.document) -> None:
    """Make code that is a public name a link to its docstring."""
    del app
    for literal in list(document.findall(nodes.literal)):
        found = _NAME.fullmatch(literal.astext())
        if found is None or found[1] not in PUBLIC or isinstance(literal.parent, (pending_xref, nodes.reference)):
            continue
        target = PUBLIC[found[1]] + found[2]
        link = pending_xref("", refdomain="py", reftype="obj", reftarget=target, refexplicit=True, optional=True)
        link["py:module"] = link["py:class"] = None
        literal.replace_self(link)
        link += literal


def find_reference(app: Sphinx, env: Any, node: pending_xref, content: nodes.Element) -> nodes.Element | None:
    """The target of a name in an annotation, which names where the class is defined, or of a linked name."""
    if node.get("refdomain") != "py":
        return None
    name = node["reftarget"]
    target = PUBLIC.get(name)
    if target is not None:
        domain = env.get_domain("py")
        return domain.resolve_xref(env, node["refdoc"], app.builder, "obj", target, node, content)
    return content if node.get("optional") or _is_internal(name) else None


def _is_internal(name: str) -> bool:
    """Whether a name of ours is not public, but exists, as in the signature of a class that only we create."""
    module, _, attribute = name.rpartition(".")
    return module not in _MODULES and find_spec(module) is not None and hasattr(import_module(module), attribute)


def pictures_of_the_site(app: Sphinx, name: str, source: list[str]) -> None:
    """The guides are one folder deeper in the repository than on the site."""
    del app, name
    source[0] = source[0].replace("](../../benchmarks/", "](../benchmarks/")


def setup(app: Sphinx) -> None:
    """Called by Sphinx."""
    app.connect("doctree-read", link_names)
    app.connect("missing-reference", find_reference)
    app.connect("source-read", pictures_of_the_site)
