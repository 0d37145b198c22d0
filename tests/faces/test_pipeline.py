"""The pipeline has one direction: no module imports one that comes after it."""

import re
from pathlib import Path

import vec2uage.faces

FOLDER = Path(vec2uage.faces.__file__).parent
# What wires them for a command (gather, prepare and its settings) stands above all and may import any.
ORDER = (
    *(
        "records",
        "model_files",
        "pool",
        "sources",
        "damage",
        "timeline",
        "video",
        "image",
        "crop",
        "signature",
        "detectors",
        "turning",
        "quality",
        "embedders",
    ),
    *("store", "extraction", "hashing", "worker", "rows", "extract"),
)


def test_a_step_imports_only_what_comes_before_it() -> None:
    for place, name in enumerate(ORDER):
        files = [FOLDER / f"{name}.py"] if (FOLDER / f"{name}.py").is_file() else list((FOLDER / name).glob("*.py"))
        assert files, name
        text = "".join(file.read_text() for file in files)
        direct = re.findall(r"^ *from vec2uage\.faces\.(\w+)", text, re.MULTILINE)
        packed = re.findall(r"^ *from vec2uage\.faces import (.+)", text, re.MULTILINE)
        needed = {*direct, *", ".join(packed).split(", ")} - {name, ""}
        assert needed <= set(ORDER[:place]), name
