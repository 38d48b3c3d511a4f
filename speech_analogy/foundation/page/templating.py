"""Where a report's templates are, and how they are filled in."""

from __future__ import annotations

import jinja2


def template_environment(package: str) -> jinja2.Environment:
    """The templates of a package's folder `templates`, and those that all reports share, e.g. `base.css`.

    HTML is escaped, and a name that is not given is an error.
    """
    shared = jinja2.PackageLoader("speech_analogy.foundation.page", "templates")
    return jinja2.Environment(
        loader=jinja2.ChoiceLoader([jinja2.PackageLoader(package, "templates"), shared]),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
