"""The product's own file of vectors: Arrow IPC (also called Feather 2), memory-mapped when read."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.ipc

from vec2uage.base.atomic import replacing
from vec2uage.base.errors import UserError
from vec2uage.data.vectorset import VectorSet

FORMAT = "1"
FORMAT_KEY, ENCODER_KEY = b"vec2uage.format", b"vec2uage.encoder"
TEXTS = ("names", "subjects", "source", "gender", "parents")


def save(vs: VectorSet, path: Path | str) -> None:
    """Write `vs` as one Arrow record batch: `vectors` FixedSizeList<float32>[D], `ages` float32 if known, texts utf8.

    The schema's metadata hold the format's version and the encoder. The file appears whole or not at all.
    """
    vectors = pa.FixedSizeListArray.from_arrays(pa.array(vs.vectors.ravel()), vs.dimension)
    texts = [pa.array(getattr(vs, name), type=pa.string()) for name in TEXTS]
    ages = [] if vs.ages is None else [pa.array(vs.ages)]
    batch = pa.record_batch(
        [vectors, *ages, *texts],
        names=["vectors", *["ages"] * len(ages), *TEXTS],
        metadata={FORMAT_KEY: FORMAT.encode(), ENCODER_KEY: vs.encoder.encode()},
    )
    with replacing(path) as temporary, pa.ipc.new_file(str(temporary), batch.schema) as writer:
        writer.write_batch(batch)


def load(path: Path | str) -> VectorSet:
    """Map a file written by `save`; `vectors` and `ages` are read-only views of it.

    Rows are as they were saved, they are not checked again. Raises UserError when the file is missing,
    damaged or not one of vec2uage's.
    """
    try:
        table = pa.ipc.open_file(pa.memory_map(str(path))).read_all()
    except (pa.ArrowException, OSError) as error:
        raise UserError(f"{path}: not a readable Arrow file ({error})") from None
    metadata = table.schema.metadata or {}
    version = metadata.get(FORMAT_KEY, b"none").decode()
    if version != FORMAT:
        raise UserError(f"{path}: no vector file of this version of vec2uage (format {version}, known is {FORMAT})")
    try:
        vectors = _whole(table["vectors"])
        if vectors.null_count:
            raise ValueError(f"{vectors.null_count} rows have no vector")
        return VectorSet(
            # not Arrow's to_numpy, which imports pandas: half a second of every start
            vectors=np.from_dlpack(vectors.values).reshape(len(table), vectors.type.list_size),
            ages=np.from_dlpack(_whole(table["ages"])) if "ages" in table.column_names else None,
            **{name: np.array(table[name].to_pylist(), dtype=object) for name in TEXTS},
            encoder=metadata[ENCODER_KEY].decode(),
        )
    except (pa.ArrowException, KeyError, AttributeError, ValueError) as error:
        raise UserError(f"{path}: the columns of this vector file are damaged ({error})") from None


def _whole(column: pa.ChunkedArray) -> pa.Array:
    """Return the column as one array: a view when it has one chunk, as `save` writes it."""
    return column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()
