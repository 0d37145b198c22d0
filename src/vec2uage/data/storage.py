"""The product's own file of vectors: Arrow IPC (also called Feather 2), memory-mapped when read."""

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.ipc

from vec2uage.base.atomic import replacing
from vec2uage.base.errors import UserError
from vec2uage.data.vectorset import VectorSet

FORMAT = "1"
FORMAT_KEY, ENCODER_KEY, DIGEST_KEY = b"vec2uage.format", b"vec2uage.encoder", b"vec2uage.digest"
TEXTS = ("names", "subjects", "source", "gender", "parents")


def save(vs: VectorSet, path: Path | str) -> None:
    """Write `vs` as one Arrow record batch: `vectors` FixedSizeList<float32>[D], `ages` float32 if known, texts utf8.

    The schema's metadata hold the format's version, the encoder, and a digest of these and of the columns. The file
    appears whole or not at all.
    """
    columns: dict[str, Any] = {"vectors": vs.vectors} | ({} if vs.ages is None else {"ages": vs.ages})
    columns |= {name: getattr(vs, name).tolist() for name in TEXTS}
    metadata = {FORMAT_KEY: FORMAT.encode(), ENCODER_KEY: vs.encoder.encode()}
    arrays = {name: pa.array(values, type=pa.string()) for name, values in columns.items() if name in TEXTS}
    arrays["vectors"] = pa.FixedSizeListArray.from_arrays(pa.array(vs.vectors.ravel()), vs.dimension)
    if vs.ages is not None:
        arrays["ages"] = pa.array(vs.ages)
    batch = pa.record_batch(
        [arrays[name] for name in columns],
        names=list(columns),
        metadata=metadata | {DIGEST_KEY: _digest(columns, metadata)},
    )
    with replacing(path) as temporary, pa.ipc.new_file(str(temporary), batch.schema) as writer:
        writer.write_batch(batch)


def load(path: Path | str) -> VectorSet:
    """Map a file written by `save`; `vectors` and `ages` are read-only views of it.

    Rows are as they were saved, they are not checked again; every byte is read once for the digest (about 0.7 s for a
    GB), which files of earlier versions lack. Raises UserError when the file is missing, damaged or not one of
    vec2uage's.
    """
    try:
        table = pa.ipc.open_file(pa.memory_map(str(path))).read_all()
        table.validate(full=True)
    except (pa.ArrowException, OSError, ValueError) as error:
        raise UserError(f"{path}: not a readable Arrow file ({error})") from None
    metadata = dict(table.schema.metadata or {})
    version = metadata.get(FORMAT_KEY, b"none").decode(errors="replace")
    if version != FORMAT:
        raise UserError(f"{path}: no vector file of this version of vec2uage (format {version}, known is {FORMAT})")
    digest = metadata.pop(DIGEST_KEY, None)
    try:
        columns: dict[str, Any] = {"vectors": _vectors(table)}
        if "ages" in table.column_names:
            columns["ages"] = _floats(_whole(table["ages"]))
        columns |= {name: table[name].to_pylist() for name in TEXTS}
        encoder = metadata[ENCODER_KEY].decode()
    except (pa.ArrowException, KeyError, AttributeError, ValueError) as error:
        raise UserError(f"{path}: the columns of this vector file are damaged ({error})") from None
    if digest is not None and digest != _digest(columns, metadata):
        raise UserError(
            f"{path}: not as it was written, its digest is of something else: make it again, or if it was changed on "
            f"purpose, remove {DIGEST_KEY.decode()} from the metadata of its schema"
        )
    texts = {name: np.array(columns[name], dtype=object) for name in TEXTS}
    return VectorSet(vectors=columns["vectors"], ages=columns.get("ages"), **texts, encoder=encoder)


def _digest(columns: Mapping[str, np.ndarray | Sequence[str]], metadata: Mapping[bytes, bytes]) -> bytes:
    """Return 16 hex digits that change with any value of any column, and with the metadata."""
    digest = hashlib.sha256(repr(sorted(metadata.items())).encode())
    for name, values in columns.items():
        if isinstance(values, np.ndarray):
            digest.update(repr((name, values.shape)).encode())
            digest.update(np.ascontiguousarray(values).data)
        else:
            digest.update(repr((name, values)).encode())
    return digest.hexdigest()[:16].encode()


def _vectors(table: pa.Table) -> np.ndarray:
    vectors = _whole(table["vectors"])
    if vectors.null_count:
        raise ValueError(f"{vectors.null_count} rows have no vector")
    return _floats(vectors.values).reshape(len(table), vectors.type.list_size)


def _floats(values: pa.Array) -> np.ndarray:
    """Return a view of float32 numbers: not by Arrow's to_numpy, which imports pandas, half a second of every start."""
    if values.type != pa.float32():
        raise ValueError(f"{values.type} where float32 is expected")
    if values.null_count:
        raise ValueError(f"{values.null_count} numbers are missing")
    return np.from_dlpack(values)


def _whole(column: pa.ChunkedArray) -> pa.Array:
    """Return the column as one array: a view when it has one chunk, as `save` writes it."""
    return column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()
