"""Addresses at a server of several projects: a project has a prefix, and what belongs to the whole server has none."""

PROJECTS = "/p/"
OF_THE_SERVER = (PROJECTS, "/sign-in", "/sign-out", "/link/", "/assets/", "/errors/", "/projects")
"""Addresses that are those of the server: users sign in once, and files are fetched once."""


def client_address(prefix: str, path: str) -> str:
    """The address of *path*, which a route or a page of a project names, for clients."""
    return path if not prefix or path.startswith(OF_THE_SERVER) or not path.startswith("/") else prefix + path


def address_at(url: str, path: str) -> str:
    """The whole address of *path* at the project with the address *url*, such as `https://example.org/p/shop`."""
    server, mark, name = url.partition(PROJECTS)
    return server + client_address(mark + name, path)
