"""Shipping to a bucket: each object once, with its checksum, and never over another one.

A bucket with object lock retains each object by its own default rule from the moment that it is there; S3 insists on the
checksum then. Nothing here depends on that, deletes anything, or makes a retention shorter.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable

from crashcart.errors import Busy, ConnectionLost, InvalidCall, Refused, Throttled
from crashcart.journal.parcel import Piece
from crashcart.transports.base import ApiCall, CloudTransport

TRIES = 3
"""How often a piece is sent when the answer is lost, or S3 asks for patience; sending it again does no harm."""

_EXISTS = "PreconditionFailed"
_TYPES = {".jsonl": "application/jsonl", ".json": "application/json", ".txt": "text/plain"}


class Bucket:
    """A bucket and a prefix in it."""

    def __init__(self, transport: CloudTransport, name: str, prefix: str) -> None:
        self._transport, self._name, self._prefix = transport, name, prefix

    def ship(self, run: str, pieces: Iterable[Piece]) -> None:
        """Put all pieces below ``PREFIX/<run id>/``. Those that are there already, byte for byte, are fine.

        Raises ``Refused`` for a name under which there is something else, and the transport's errors.
        """
        for piece in pieces:
            self._put("/".join(filter(None, (self._prefix, run, piece.name))), piece)

    def _put(self, key: str, piece: Piece) -> None:
        call = self._call(key, piece)
        for tries_left in reversed(range(TRIES)):
            try:
                self._transport.write(call)
                return
            except (Busy, ConnectionLost, Throttled):
                if not tries_left:
                    raise
            except InvalidCall as error:
                if error.code != _EXISTS:
                    raise
                self._compare(key, piece)
                return

    def _call(self, key: str, piece: Piece) -> ApiCall:
        suffix = f".{key.rpartition('.')[2]}"
        params = {
            "Bucket": self._name,
            "Key": key,
            "Body": piece.data,
            "IfNoneMatch": "*",
            "ContentType": _TYPES.get(suffix, "application/octet-stream"),
            "ChecksumAlgorithm": "SHA256",
            "ChecksumSHA256": _base64(hashlib.sha256(piece.data).digest()),
            "Metadata": {"sha256": piece.sha256},
        }
        return ApiCall("s3", "PutObject", params)

    def _compare(self, key: str, piece: Piece) -> None:
        """Make sure that what is there is the same: by S3's own checksum, or by its MD5 where it has none."""
        call = ApiCall("s3", "HeadObject", {"Bucket": self._name, "Key": key, "ChecksumMode": "ENABLED"})
        there = self._transport.read(call)
        checksum, tag = there.get("ChecksumSHA256"), str(there.get("ETag", "")).strip('"')
        md5 = hashlib.md5(piece.data, usedforsecurity=False).hexdigest()
        if (checksum == _base64(hashlib.sha256(piece.data).digest())) if checksum else tag == md5:
            return
        hint = "somebody else put it there; compare the two, and look at who may write to this bucket"
        raise Refused(f"s3://{self._name}/{key} is there already and is something else; it is left as it is", hint=hint)


def _base64(digest: bytes) -> str:
    return base64.b64encode(digest).decode()
