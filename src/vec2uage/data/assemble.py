"""From vectors to a folder that training reads: audited for leaks, divided, written, counted and drawn."""

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vec2uage.base.atomic import remove_unfinished, replacing, write_json
from vec2uage.base.provenance import file_sha256, provenance
from vec2uage.data import storage
from vec2uage.data.figures import counts_per_age, plot_counts, plot_genders, plot_source
from vec2uage.data.leakage import Leakage, audit, summary, treat, write_csv
from vec2uage.data.prepared import DESCRIPTION, PARTS, Splitter, part_file
from vec2uage.data.readers import json as paper_json
from vec2uage.data.splits import DataSplit
from vec2uage.data.vectorset import VectorSet, concatenate

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class Assembled:
    """A set as it was written: by the name of its file, and what the audit found."""

    files: dict[str, VectorSet]
    leakage: dict[str, Any]


def assemble(
    vs: VectorSet,
    splitter: Splitter,
    leakage: Leakage,
    folder: Path,
    hashes: Mapping[str, str],
    signatures: Mapping[str, str],
    with_json: bool,
) -> Assembled:
    """Audit and divide `vs`; write its parts, `leakage.csv` and figures to `folder`.

    `hashes` and `signatures` give by name what is known of the photographs (see `leakage.audit`). Without a split the
    rows go to `vectors.arrow`, else to `train.arrow`, `validation.arrow` and `test.arrow`. `with_json` also writes the
    paper's two files, `train.json` and `heldout.json`, or `vectors.json`. Raises UserError where `vs` cannot be
    divided.
    """
    vs = splitter.used(vs)
    findings = audit(vs, leakage, hashes, signatures)
    treated, together = treat(vs, findings, leakage)
    parts = splitter.divide(treated, together)
    files = {"vectors": treated} if parts is None else {part: getattr(parts, part) for part in PARTS}
    for name, rows in files.items():
        storage.save(rows, part_file(folder, name))
    if with_json:
        _write_json(files, folder)
    write_csv(folder / "leakage.csv", vs, findings, parts)
    draw(_figures(concatenate(list(files.values()))), folder)
    return Assembled(files, summary(vs, findings, leakage, parts))


def draw(figures: Mapping[str, "Figure"], folder: Path) -> None:
    """Write figures as PNG files of their names."""
    for name, figure in figures.items():
        with replacing(folder / f"{name}.png") as temporary:
            figure.savefig(temporary)


def clear(folder: Path) -> None:
    """Remove what an earlier command wrote to `folder`, first of all the description that says it is complete."""
    (folder / DESCRIPTION).unlink(missing_ok=True)
    arrows = [part_file(folder, part) for part in ("vectors", *PARTS)]
    others = [folder / name for name in ("faces.csv", "leakage.csv", "vectors.json", "train.json", "heldout.json")]
    figures = [*folder.glob("faces_per_age*.png"), *folder.glob("*_spans.png")]
    for path in [*arrows, *others, *figures]:
        path.unlink(missing_ok=True)
        remove_unfinished(path)
    for name in ("faces_per_age", "faces_per_age_and_gender"):
        remove_unfinished(folder / f"{name}.png")
    remove_unfinished(folder / DESCRIPTION)


def is_whole(folder: Path, description: Mapping[str, Any]) -> bool:
    """Tell whether the vectors in `folder` are those that `description` speaks of."""
    parts = {part_file(folder, name): part["sha256"] for name, part in description["parts"].items()}
    return all(path.is_file() and file_sha256(path) == sha256 for path, sha256 in parts.items())


def write_description(assembled: Assembled, folder: Path, **also: Any) -> None:
    """Write dataset.json, last of all files: counts, fingerprints, what the audit found, versions, and `also`."""
    files = assembled.files
    whole = DataSplit(**files).fingerprint() if len(files) > 1 else files["vectors"].fingerprint()
    description = {
        "encoder": next(iter(files.values())).encoder,
        "dimension": next(iter(files.values())).dimension,
        "fingerprint": whole,
        "parts": {name: _counts(rows, part_file(folder, name)) for name, rows in files.items()},
        "leakage": assembled.leakage,
        **also,
        "provenance": provenance(),
    }
    write_json(folder / DESCRIPTION, description)


def read_description(folder: Path) -> dict[str, Any] | None:
    """Return what `write_description` wrote, None where there is nothing readable."""
    try:
        found = json.loads((folder / DESCRIPTION).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) else None


def _counts(rows: VectorSet, file: Path) -> dict[str, Any]:
    return {
        "rows": len(rows),
        "per_age": {str(age): count for age, count in counts_per_age(rows).items()},
        "per_gender": {gender or "unknown": count for gender, count in sorted(Counter(rows.gender.tolist()).items())},
        "per_source": dict(sorted(Counter(rows.source.tolist()).items())),
        "subjects": len(set(rows.subjects) - {""}),
        "sha256": file_sha256(file),
    }


def _write_json(files: Mapping[str, VectorSet], folder: Path) -> None:
    if "vectors" in files:
        paper_json.write(files["vectors"], folder / "vectors.json")
        return
    paper_json.write(files["train"], folder / "train.json")
    paper_json.write(concatenate([files["validation"], files["test"]]), folder / "heldout.json")


def _figures(vs: VectorSet) -> dict[str, "Figure"]:
    figures = {"faces_per_age": plot_counts(vs), "faces_per_age_and_gender": plot_genders(vs)}
    sources = sorted(set(vs.source))
    if len(sources) > 1:
        figures |= {f"faces_per_age_{k}_{_plain(name)}": plot_source(vs, name) for k, name in enumerate(sources, 1)}
    return figures


def _plain(name: str) -> str:
    """Make a source's name fit for a file."""
    return "".join(c if c.isalnum() or c in "-_" else "_" for c in name)[:40]
