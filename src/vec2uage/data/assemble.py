"""From vectors to a folder that training reads: audited for leaks, divided, written, counted and drawn."""

import hashlib
import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vec2uage.base.atomic import replacing, write_json
from vec2uage.base.provenance import provenance
from vec2uage.data import storage
from vec2uage.data.figures import counts_per_age, plot_counts, plot_genders, plot_source
from vec2uage.data.leakage import Leakage, audit, summary, treat, write_csv
from vec2uage.data.prepared import PARTS, Splitter, part_file
from vec2uage.data.readers import json as paper_json
from vec2uage.data.splits import DataSplit
from vec2uage.data.vectorset import VectorSet, concatenate

DESCRIPTION = "dataset.json"


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
    findings = audit(vs, leakage, hashes, signatures)
    treated, together = treat(vs, findings, leakage)
    parts = splitter.divide(treated, together)
    files = {"vectors": treated} if parts is None else {part: getattr(parts, part) for part in PARTS}
    for stale in {"vectors", *PARTS} - files.keys():
        part_file(folder, stale).unlink(missing_ok=True)
    for name, rows in files.items():
        storage.save(rows, part_file(folder, name))
    if with_json:
        _write_json(files, folder)
    write_csv(folder / "leakage.csv", vs, findings, parts)
    _draw(files, folder)
    return Assembled(files, summary(vs, findings, leakage, parts))


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
        "sha256": hashlib.sha256(file.read_bytes()).hexdigest(),
    }


def _write_json(files: Mapping[str, VectorSet], folder: Path) -> None:
    if "vectors" in files:
        paper_json.write(files["vectors"], folder / "vectors.json")
        return
    paper_json.write(files["train"], folder / "train.json")
    paper_json.write(concatenate([files["validation"], files["test"]]), folder / "heldout.json")


def _draw(files: Mapping[str, VectorSet], folder: Path) -> None:
    everything = concatenate(list(files.values()))
    figures = {"faces_per_age": plot_counts(everything), "faces_per_age_and_gender": plot_genders(everything)}
    sources = sorted(set(everything.source))
    if len(sources) > 1:
        figures |= {f"faces_per_age_{k}_{_plain(s)}": plot_source(everything, s) for k, s in enumerate(sources, 1)}
    for name, figure in figures.items():
        with replacing(folder / f"{name}.png") as temporary:
            figure.savefig(temporary)


def _plain(name: str) -> str:
    """Make a source's name fit for a file."""
    return "".join(c if c.isalnum() or c in "-_" else "_" for c in name)[:40]
