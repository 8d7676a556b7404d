"""The versions of one collection in Qdrant Cloud, and the published one among them.

Readers use an alias. It leads to a real collection, `NAME__v0001` and so on, whose metadata holds the fields
of `Version.note` under `preceptor`. One request moves the alias, so readers see either the old version or the
new one.
"""

from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any

from qdrant_client import models

from preceptor.errors import IndexAnswerInvalid, IndexIncompatible
from preceptor.library import schema
from preceptor.library.cloud_connection import Connection, is_version
from preceptor.library.cloud_errors import CollectionExists
from preceptor.library.cloud_place import Place
from preceptor.library.protocol import IndexInfo
from preceptor.library.schema import BM25, CHAPTER, DENSE, ORDINAL

METADATA = "preceptor"
"""Preceptor's key in a collection's metadata."""

INDEXES = {CHAPTER: models.PayloadSchemaType.KEYWORD, ORDINAL: models.PayloadSchemaType.INTEGER}


@dataclass(frozen=True, slots=True)
class Version:
    """A real collection and its metadata."""

    name: str
    note: Mapping[str, Any]
    """Holds `of` (the collection's name), `rebuild`, `info`, and `previous` (a name) if there is one."""

    @property
    def number(self) -> int:
        """Number of the version, from 1."""
        return int(self.name.rpartition("__v")[2])

    @property
    def previous(self) -> str | None:
        """Real name of the version that was published before."""
        return self.note.get("previous")

    @property
    def place(self) -> Place:
        """The place of its points."""
        shared = self.note.get("place")
        return Place(shared, self.note["of"], self.name) if shared else Place(self.name)

    def info(self) -> IndexInfo:
        """Returns the index's description.

        Raises:
            IndexIncompatible: It is of another schema.
        """
        return schema.from_metadata(self.note["of"], self.note["info"])

    def is_like(self, info: IndexInfo) -> bool:
        """Whether the version's passages are interchangeable with passages made for `info`."""
        try:
            return schema.same_vectors(self.info(), info)
        except IndexIncompatible:
            return False


class CloudVersions:
    """Versions of one collection. Only its writer, who holds the lock, calls the methods that change it."""

    def __init__(self, connection: Connection, collection: str) -> None:
        self.collection = collection
        self._connection = connection
        self._client = connection.client

    async def current(self) -> Version:
        """Returns the published version; a reader's key is enough.

        Raises:
            IndexNotFound: There is no such collection.
            IndexIncompatible: It was not made by Preceptor.
        """
        return await self.described(self.collection)

    async def published(self) -> str | None:
        """Real name of the published version."""
        return (await self._connection.aliases()).get(self.collection)

    async def all(self) -> dict[str, Version]:
        """Returns every version by real name, unfinished ones included.

        Raises:
            IndexIncompatible: A collection that Preceptor did not make has this very name.
        """
        found = await self._connection.read("list collections", self._client.get_collections)
        names = sorted(one.name for one in found.collections)
        if self.collection in names:
            await self.described(self.collection)
        return {name: await self.described(name) for name in names if is_version(name, of=self.collection)}

    async def described(self, name: str) -> Version:
        """Returns the description in a collection's metadata.

        Raises:
            IndexNotFound: There is no collection of this name.
            IndexIncompatible: It was not made by Preceptor, or not as a version of this collection.
        """
        found = await self._connection.read(
            "describe", partial(self._client.get_collection, name), collection=name
        )
        note = (found.config.metadata or {}).get(METADATA)
        if not note or note.get("of") != self.collection:
            raise _foreign(name, found)
        return Version(name, note)

    async def create(self, name: str, info: IndexInfo, *, rebuild: bool) -> Version:
        """Create an empty version, unpublished and ready for points."""
        note = {"of": self.collection, "rebuild": rebuild, "info": schema.as_metadata(info)}
        create = partial(
            self._client.create_collection,
            name,
            vectors_config={
                name: models.VectorParams(size=size, distance=models.Distance.COSINE)
                for name, size in schema.dense_sizes(info).items()
            },
            sparse_vectors_config={BM25: models.SparseVectorParams(modifier=models.Modifier.IDF)},
            metadata={METADATA: note},
        )
        with suppress(CollectionExists):  # made by a try whose answer was lost
            await self._connection.write("create the collection", create, collection=name)
        await self.index_payload(name)
        try:
            return await self.described(name)
        except IndexIncompatible as error:
            raise IndexAnswerInvalid(
                self._connection.where, "it forgets a collection's metadata; a newer Qdrant is needed"
            ) from error

    async def index_payload(self, name: str) -> None:
        """Create the payload indexes before the first point: strict mode filters only on indexed fields."""
        await self._index_fields(name, INDEXES)

    async def finish(self, version: Version) -> None:
        """Do what is left before readers see a version: nothing, where it has a collection of its own."""

    async def _index_fields(self, name: str, fields: Mapping[str, models.PayloadSchemaType | Any]) -> None:
        for field, kind in fields.items():
            index = partial(self._client.create_payload_index, name, field, kind, wait=True)
            await self._connection.write(f"index the field {field} of", index, collection=name)

    async def note(self, version: Version, **changes: Any) -> None:
        """Change fields of a version's metadata."""
        note = {**version.note, **changes}
        update = partial(self._client.update_collection, version.name, metadata={METADATA: note})
        await self._connection.write("describe anew", update, collection=version.name)

    async def show(self, name: str) -> None:
        """Publish this version in one request."""
        known = await self.published() is not None
        operations: list[models.AliasOperations] = [self._hiding] if known else []
        operations.append(
            models.CreateAliasOperation(
                create_alias=models.CreateAlias(collection_name=name, alias_name=self.collection)
            )
        )
        switch = partial(self._client.update_collection_aliases, operations)
        await self._connection.write("let readers see", switch, collection=name)

    async def hide(self) -> None:
        """Remove the alias, so that readers no longer find the collection."""
        switch = partial(self._client.update_collection_aliases, [self._hiding])
        await self._connection.write("hide", switch, collection=self.collection)

    async def drop(self, name: str) -> None:
        """Remove a real collection."""
        await self._connection.write("delete", partial(self._client.delete_collection, name), collection=name)

    @property
    def _hiding(self) -> models.AliasOperations:
        return models.DeleteAliasOperation(delete_alias=models.DeleteAlias(alias_name=self.collection))


def next_name(collection: str, versions: Iterable[Version]) -> str:
    """Returns the name of the version after these."""
    return f"{collection}__v{max((version.number for version in versions), default=0) + 1:04}"


def _foreign(name: str, found: models.CollectionInfo) -> IndexIncompatible:
    vectors = found.config.params.vectors
    if isinstance(vectors, models.VectorParams):
        layout = f"one unnamed vector ({vectors.size}, {vectors.distance.value})"
    else:
        layout = f"the vectors {', '.join(f'`{one}`' for one in vectors or {}) or '(none)'}"
    return IndexIncompatible(
        name,
        "another program's layout,",
        found=layout,
        wanted=f"a version of its own with `{DENSE}` and `{BM25}`",
        remedy="It is left as it is: index under another name with `PRECEPTOR_INDEX__COLLECTION=NAME preceptor "
        f"index --source BOOK`, or remove it first with `preceptor index --delete {name}`.",
    )
