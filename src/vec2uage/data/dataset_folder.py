"""From vectors to a folder that training reads: audited for leaks, divided, written, counted and drawn."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from vec2uage.base.atomic import remove_unfinished, replacing
from vec2uage.base.manifest import describe, write_manifest
from vec2uage.data import storage
from vec2uage.data.figures import counts_per_age, plot_counts, plot_genders, plot_source
from vec2uage.data.leakage import Findings, Leakage, apply_policy, audit, summary, write_pairs
from vec2uage.data.parts import ALL_PARTS, UNDIVIDED, Parts, fingerprint, is_divided
from vec2uage.data.prepared import DESCRIPTION, part_file
from vec2uage.data.readers import json as paper_json
from vec2uage.data.splits import Split
from vec2uage.data.vectorset import VectorSet, concatenate, needed_ages

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class Divided:
    """A set as it is to be written, and what the audit found."""

    parts: Parts
    audited: VectorSet
    findings: Findings
    leakage: dict[str, Any]
    """The findings in figures."""


def divide(
    vs: VectorSet, split: Split, leakage: Leakage, hashes: Mapping[str, str], signatures: Mapping[str, str]
) -> Divided:
    """Audit `vs` and divide it into the parts that `split` gives.

    `hashes` and `signatures` give by name what is known of the photographs (see `leakage.audit`). Augmented faces,
    which are meant to be near the faces that they were made from, are not audited; they are left out with these. Raises
    UserError where `vs` cannot be divided.
    """
    needed_ages(vs, "a prepared set")
    vs = split.used(vs)
    photographed = vs.parents == ""
    audited = vs if photographed.all() else vs.take(photographed)
    findings = audit(audited, leakage, hashes, signatures)
    kept, group_ids = apply_policy(audited, findings, leakage)
    if audited is not vs:
        dropped = set(audited.names) - set(kept.names)
        augmented = vs.take(~photographed & ~np.isin(vs.parents, list(dropped)))
        kept = concatenate([kept, augmented])
        if group_ids is not None:  # an augmented face follows the one it was made from, whatever its number
            group_ids = np.append(group_ids, np.zeros(len(augmented), dtype=group_ids.dtype))
    parts = split.divide({UNDIVIDED: kept}, split.seed_for(0), group_ids)
    return Divided(parts, audited, findings, summary(audited, findings, leakage, parts))


def write(divided: Divided, folder: Path, with_json: bool) -> list[str]:
    """Write a divided set to `folder`: `<part>.arrow` for each part, `leakage.csv` and figures.

    `with_json` also writes the paper's two files, `train.json` and `heldout.json`, or `vectors.json`. Returns the names
    of the files that hold data.
    """
    written = []
    for name, rows in divided.parts.items():
        storage.save(rows, part_file(folder, name))
        written.append(part_file(folder, name).name)
    if with_json:
        written += _write_json(divided.parts, folder)
    write_pairs(folder / "leakage.csv", divided.audited, divided.findings, divided.parts)
    draw(_figures(concatenate(list(divided.parts.values()))), folder)
    return [*written, "leakage.csv"]


def draw(figures: Mapping[str, "Figure"], folder: Path) -> None:
    """Write figures as PNG files of their names."""
    for name, figure in figures.items():
        with replacing(folder / f"{name}.png") as temporary:
            figure.savefig(temporary)


def clear(folder: Path) -> None:
    """Remove what an earlier command wrote to `folder`, first of all the description that says it is complete."""
    (folder / DESCRIPTION).unlink(missing_ok=True)
    arrows = [part_file(folder, part) for part in (UNDIVIDED, *ALL_PARTS)]
    others = [folder / name for name in ("faces.csv", "leakage.csv", "vectors.json", "train.json", "heldout.json")]
    figures = [*folder.glob("faces_per_age*.png"), *folder.glob("*_spans.png")]
    for path in [*arrows, *others, *figures]:
        path.unlink(missing_ok=True)
        remove_unfinished(path)
    for name in ("faces_per_age", "faces_per_age_and_gender"):
        remove_unfinished(folder / f"{name}.png")
    remove_unfinished(folder / DESCRIPTION)


def complete(
    divided: Divided,
    folder: Path,
    files: Iterable[str],
    *,
    inputs: Mapping[str, str],
    options: Mapping[str, Any],
    **also: Any,
) -> None:
    """Write dataset.json, last of all files: counts, fingerprint, what the audit found, and `also`.

    `files` are the names of those that make up the set; `inputs` and `options` are what it was made of.
    """
    first = next(iter(divided.parts.values()))
    about = {
        "encoder": first.encoder,
        "dimension": first.dimension,
        "fingerprint": fingerprint(divided.parts),
        "parts": {name: _counts(rows) for name, rows in divided.parts.items()},
        "leakage": divided.leakage,
        **also,
    }
    write_manifest(folder / DESCRIPTION, describe(folder, files, about=about, inputs=inputs, options=options))


def _counts(rows: VectorSet) -> dict[str, Any]:
    return {
        "rows": len(rows),
        "per_age": {str(age): count for age, count in counts_per_age(rows).items()},
        "per_gender": {gender or "unknown": count for gender, count in sorted(Counter(rows.gender.tolist()).items())},
        "per_source": dict(sorted(Counter(rows.source.tolist()).items())),
        "subjects": len(set(rows.subjects) - {""}),
    }


def _write_json(parts: Parts, folder: Path) -> list[str]:
    if not is_divided(parts):
        paper_json.write(parts[UNDIVIDED], folder / "vectors.json")
        return ["vectors.json"]
    train = parts["train"]
    heldout = concatenate([part for name, part in parts.items() if name != "train"])
    paper_json.write(train, folder / "train.json")
    paper_json.write(heldout, folder / "heldout.json", after=train)
    return ["train.json", "heldout.json"]


def _figures(vs: VectorSet) -> dict[str, "Figure"]:
    figures = {"faces_per_age": plot_counts(vs), "faces_per_age_and_gender": plot_genders(vs)}
    sources = sorted(set(vs.source))
    if len(sources) > 1:
        figures |= {f"faces_per_age_{k}_{_plain(name)}": plot_source(vs, name) for k, name in enumerate(sources, 1)}
    return figures


def _plain(name: str) -> str:
    """Make a source's name fit for a file."""
    return "".join(c if c.isalnum() or c in "-_" else "_" for c in name)[:40]
