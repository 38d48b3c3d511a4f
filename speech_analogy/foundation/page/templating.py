"""Where a report's templates are, and how they are filled in."""

from __future__ import annotations

from typing import Any

import jinja2

from speech_analogy.plain_text import shown


def template_environment(package: str) -> jinja2.Environment:
    """The templates of a package's folder `templates`, and those that all reports share, e.g. `base.css`.

    HTML is escaped, controls are written out, and a name that is not given is an error.
    """
    shared = jinja2.PackageLoader("speech_analogy.foundation.page", "templates")
    return jinja2.Environment(
        loader=jinja2.ChoiceLoader([jinja2.PackageLoader(package, "templates"), shared]),
        autoescape=True,
        finalize=_shown,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def _shown(value: Any) -> Any:
    return shown(value) if isinstance(value, str) else value
