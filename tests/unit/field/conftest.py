"""The site that these tests work on."""

from fake_site import site

__all__ = ["site"]
