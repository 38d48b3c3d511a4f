"""Where a report's templates are, and how they are filled in."""

from __future__ import annotations

import jinja2


def template_environment(package: str) -> jinja2.Environment:
    """The templates of a package's folder `templates`: HTML is escaped, and a name that is not given is an error."""
    return jinja2.Environment(
        loader=jinja2.PackageLoader(package, "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
