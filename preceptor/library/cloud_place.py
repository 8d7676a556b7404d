"""The place of one version's points in a cluster: a collection of their own, or one with those of other books."""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from qdrant_client import models

TENANT = "tenant"
"""Payload field of a shared collection: the name of the book's collection, as its readers know it."""
VERSION = "version"
PASSAGE = "passage"
"""Payload field of a shared collection: the id of the passage, since two versions of it are two points."""

_NAMESPACE = uuid.UUID("6f0b2a3e-4c1d-5e8f-9a7b-3c2d1e0f4a5b")


@dataclass(frozen=True, slots=True)
class Place:
    """The points of one version."""

    collection: str
    """Real name, or an alias."""
    tenant: str = ""
    """Name by which the book is read, where the collection is shared; empty: the version has it for itself."""
    version: str = ""

    @property
    def fields(self) -> list[str]:
        """Payload fields without which a passage is not known by its id."""
        return [PASSAGE] if self.tenant else []

    def point(self, passage: str) -> str:
        """Returns the id of a passage's point."""
        return point_id(self.version, passage) if self.tenant else passage

    def passage(self, point: models.Record | models.ScoredPoint) -> str:
        """Returns the id of a point's passage."""
        return str((point.payload or {})[PASSAGE]) if self.tenant else str(point.id)

    def payload(self, passage: str, payload: Mapping[str, Any]) -> dict[str, Any]:
        """Returns the payload of a passage's point."""
        own = {TENANT: self.tenant, VERSION: self.version, PASSAGE: passage} if self.tenant else {}
        return {**payload, **own}

    def where(self, **fields: str | int | None) -> models.Filter | None:
        """Returns the filter of these points, of which further fields have these values; None: there is none."""
        own = {TENANT: self.tenant, VERSION: self.version} if self.tenant else {}
        wanted = {**own, **{name: value for name, value in fields.items() if value is not None}}
        return matching(wanted) if wanted else None


def point_id(*names: str) -> str:
    """Returns the id of the point of these names."""
    return str(uuid.uuid5(_NAMESPACE, "\n".join(names)))


def matching(fields: Mapping[str, str | int]) -> models.Filter:
    """Returns the filter of points whose fields have these values."""
    return models.Filter(
        must=[
            models.FieldCondition(key=name, match=models.MatchValue(value=value))
            for name, value in fields.items()
        ]
    )
