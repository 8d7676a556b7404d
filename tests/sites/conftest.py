"""A browser for the built sites: that of the service's own pages."""

from tests.server.conftest import browser as browser
