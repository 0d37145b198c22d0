"""Results of a case that never was, for what reads results."""

from pathlib import Path
from typing import Any

from vec2uage.case.info import CaseInfo
from vec2uage.case.records import CaseFile, FaceResult, FileResult, Results
from vec2uage.faces.records import Face, Hashes

HASHES = Hashes(sha256="a" * 64, sha1="b" * 40, md5="c" * 32)
MEASURES = {
    "eyes": 60.0,
    "size": 120.0,
    "sharpness": 90.0,
    "brightness": 120.0,
    "clipped": 0.0,
    "roll": 2.0,
    "yaw": -5.0,
}


FOUND = Face(10, 20, 110, 140, 0.9, "yunet")


def face(number: int = 1, age: float = 9.5, **others: Any) -> FaceResult:
    """A face whose interval is 2 years to each side."""
    found = others.pop("at", FOUND)
    told = {"measures": MEASURES, "p_minor": 0.9, "flagged": True, "distance": None, "doubts": ()} | others
    return FaceResult(number=number, face=found, age=age, low=age - 2, high=age + 2, **told)


def file(name: str, *faces: FaceResult, **others: Any) -> FileResult:
    """A file with these faces."""
    told = {"number": 1, "status": "ok" if faces else "no_face", "size": 1000, "hashes": HASHES} | others
    return FileResult(CaseFile(name, Path("/case", name)), faces=faces, **told)


def results(*files: FileResult) -> Results:
    """Files that can be read again and again."""
    return lambda: iter(files)


def info(**others: Any) -> CaseInfo:
    """Of a model without threshold, statement and reference."""
    told: dict[str, Any] = {
        "source": "photos",
        "model": "model.safetensors",
        "model_digest": "d" * 16,
        "code": "e" * 16,
        "boundary": 17.5,
    }
    told |= dict.fromkeys(("model_encoder", "vectors_encoder"), "facenet-x")
    told |= dict.fromkeys(("threshold", "calibrated_by", "statement", "drift"))
    told["line"] = "python -m vec2uage.predict"
    return CaseInfo(**told | others)
