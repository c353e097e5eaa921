"""The description of the REST API, OpenAPI 3.1: made of the routes, their operations, the graph and the rules.

Nothing here says anything about one route: what is served is described because it is served.
"""

from app.openapi.documents import document
from app.openapi.serving import openapi_route

__all__ = ["document", "openapi_route"]
