"""Whether augmented faces fit on the disk, estimated before the first is drawn."""

import io
import logging
import shutil
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from vec2uage.augmentation.augmenter import FaceAugmenter, Pictures
from vec2uage.augmentation.drawing import AugmentedFace, read_face
from vec2uage.augmentation.source_faces import SourceFace
from vec2uage.base.errors import UserError
from vec2uage.base.formatting import counted, size

log = logging.getLogger(__name__)

_SPARE = 1.2  # what is needed is estimated, so a little more has to be free


def check_disk_space(
    faces: Sequence[AugmentedFace], rows: int, augmenter: FaceAugmenter, output: Path, pictures: Pictures | None
) -> None:
    """Estimate what faces that are still to be made take, and a file of `rows` rows in the folder `output`.

    A picture is taken to be as large as that of a face before it is augmented, at the same quality. Raises UserError
    where less is free.
    """
    missing = [face for face in faces if augmenter.is_missing(face, pictures)]
    vector = 4 * augmenter.extraction.embedder.dimension  # bytes
    needs: Counter[Path] = Counter()
    if pictures is not None and missing:
        bytes_each = _picture_bytes([face.source for face in missing], augmenter, pictures.quality)
        needs[_existing(pictures.folder)] += len(missing) * bytes_each
    needs[_existing(augmenter.execution.store)] += len(missing) * _stored_bytes(vector)
    needs[_existing(output)] += rows * (vector + 300)
    kept = f" ({len(faces) - len(missing):,} are in the store)" if len(missing) < len(faces) else ""
    log.info(
        "%s to draw%s, which takes about %s of disk", counted(len(missing), "face"), kept, size(sum(needs.values()))
    )
    devices: Counter[int] = Counter()
    for folder, needed in needs.items():
        devices[folder.stat().st_dev] += needed
    for folder in needs:
        need, free = devices[folder.stat().st_dev] * _SPARE, shutil.disk_usage(folder).free
        if need > free:
            raise UserError(
                f"{folder}: {counted(len(missing), 'augmented face')} would take about {size(need)} there and "
                f"{size(free)} are free: make room, lower augmentation.train_per_age, or set "
                "augmentation.images=none"
            )


def _stored_bytes(vector: int) -> int:
    """Return what a vector takes in the store: its row and the index; SQLite fills pages of 4,096 bytes."""
    row = vector + 200
    return 300 + (row if row < 2048 else -(-row // 4096) * 4096)


def _existing(path: Path) -> Path:
    """Return a folder, or the nearest one above it that exists."""
    return next(folder for folder in (path.absolute(), *path.absolute().parents) if folder.is_dir())


def _picture_bytes(sources: Sequence[SourceFace], augmenter: FaceAugmenter, quality: int, sample: int = 16) -> int:
    sizes = []
    for source in sources[:: max(1, len(sources) // sample)][:sample]:
        with io.BytesIO() as file:
            Image.fromarray(read_face(source, augmenter.extraction)).save(file, "JPEG", quality=quality)
            sizes.append(file.tell())
    return int(np.mean(sizes))
