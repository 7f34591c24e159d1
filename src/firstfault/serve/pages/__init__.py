"""The pages: what is stored and measured in, HTML that answers in one look what broke out.

Rendered on the server, without a build step and without anything from elsewhere. `router` holds every page
under `/ui`, `refused` turns an error into a page.
"""

from firstfault.serve.pages.health import Lately
from firstfault.serve.pages.routes import router
from firstfault.serve.pages.session import Sessions
from firstfault.serve.pages.signing import refused

__all__ = ["Lately", "Sessions", "refused", "router"]
