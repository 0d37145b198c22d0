"""What a finished artefact was made of, and whether it is whole: a file of its folder, written last of all.

Prepared sets, augmented faces and runs each have one, under a name of their own (`dataset.json`, ...). It holds what
the artefact tells of itself, and beside that which inputs, options and code made it, and the SHA-256 of its files.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from vec2uage.base.atomic import json_text, write_last
from vec2uage.base.digest import KEY, with_digest, without_digest
from vec2uage.base.errors import UserError
from vec2uage.base.provenance import code_fingerprint, file_sha256, provenance


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """What is known of an artefact; made by `describe`, or read by `read_manifest`."""

    about: dict[str, Any]
    """What it tells of itself: counts, scores and such, under keys of its own choice."""
    inputs: dict[str, str]
    """What it was made from: the fingerprint of each input, by name."""
    options: dict[str, Any]
    """What was asked for, as JSON holds it."""
    code: str
    """`code_fingerprint` of the version that made it."""
    files: dict[str, str]
    """SHA-256 of the files that make it up, by their paths below its folder."""
    provenance: dict[str, Any]
    """Versions and machine, which are told but never compared."""


def describe(
    folder: Path,
    files: Iterable[str],
    *,
    about: Mapping[str, Any],
    inputs: Mapping[str, str],
    options: Mapping[str, Any],
) -> Manifest:
    """Return the manifest of what this code has made in `folder`: the `files` there, all of them written."""
    return Manifest(
        about=dict(about),
        inputs=dict(inputs),
        options=_as_json(options),
        code=code_fingerprint(),
        files=file_hashes(folder, files),
        provenance=provenance(),
    )


def write_manifest(path: Path, manifest: Manifest) -> None:
    """Write a manifest, atomically, once the files that it speaks of are on the disk: with it, these are complete."""
    made_of = {name: getattr(manifest, name) for name in _OWN}
    if clash := manifest.about.keys() & {*made_of, KEY}:
        raise ValueError(f"{min(clash)!r} is a key of every manifest, and not what an artefact tells of itself")
    write_last(path, json_text(with_digest(manifest.about | made_of)), manifest.files)


def read_manifest(path: Path) -> Manifest:
    """Read what `write_manifest` wrote; UserError where there is no such file, or it is damaged."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise UserError(f"{path}: no such file") from None
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: unreadable ({error})") from None
    try:
        found = without_digest(json.loads(text))
        made_of = {name: found.pop(name) for name in _OWN if name in found}
        return _SCHEMA.validate_python({"about": found, **made_of})
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        reason = f"{'.'.join(map(str, first['loc']))}: {first['msg']}"
    except (ValueError, RecursionError) as error:
        reason = str(error)
    raise UserError(f"{path}: damaged, or of another version of vec2uage ({reason})")


def find_manifest(path: Path) -> Manifest | None:
    """Read a manifest, None where there is none that can be read: nothing there is complete."""
    try:
        return read_manifest(path)
    except UserError:
        return None


def refuse_unreadable(path: Path) -> None:
    """Raise UserError where there is a manifest that cannot be read: what it speaks of is not to be replaced unasked.

    The option that replaces it is `overwrite`.
    """
    if path.exists():
        try:
            read_manifest(path)
        except UserError as error:
            raise UserError(f"{error}: choose another folder, or replace what is there with overwrite=true") from None


def file_hashes(folder: Path, files: Iterable[str]) -> dict[str, str]:
    """Return the SHA-256 of files by their paths below `folder`: what a manifest says of them."""
    return {name: file_sha256(folder / name) for name in files}


def changed_files(folder: Path, files: Mapping[str, str]) -> list[str]:
    """Return those of `files` (SHA-256 by paths below `folder`) that are gone or not as they were written."""
    return [name for name, sha in files.items() if not (folder / name).is_file() or file_sha256(folder / name) != sha]


def is_whole(manifest: Manifest, folder: Path) -> bool:
    """Tell whether the files in `folder` are those that its manifest speaks of."""
    return not changed_files(folder, manifest.files)


def is_current(manifest: Manifest, folder: Path, *, inputs: Mapping[str, str], options: Mapping[str, Any]) -> bool:
    """Tell whether `folder` holds, whole, what this code makes of these inputs with these options."""
    made_of = (manifest.inputs, manifest.options, manifest.code)
    return made_of == (dict(inputs), _as_json(options), code_fingerprint()) and is_whole(manifest, folder)


def differences(before: Mapping[str, Any], now: Mapping[str, Any], prefix: str = "") -> str:
    """Name the options that differ with both values, three at most; "" where none does.

    Options within options get dotted names, as one types them; `prefix` stands before each.
    """
    old, new = _dotted(before, prefix), _dotted(now, prefix)
    changed = [
        f"{key}: {old.get(key)!r} there, {new.get(key)!r} now"
        for key in dict.fromkeys([*old, *new])
        if old.get(key) != new.get(key)
    ]
    return "; ".join(changed[:3]) + (f" and {len(changed) - 3} more" if len(changed) > 3 else "")


_OWN = tuple(field.name for field in fields(Manifest) if field.name != "about")
_SCHEMA = TypeAdapter(Manifest)


def _as_json(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return options as they will be read back: lists instead of tuples, texts for keys."""
    plain: dict[str, Any] = json.loads(json.dumps(dict(options)))
    return plain


def _dotted(options: Mapping[str, Any], prefix: str) -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in options.items():
        flat |= _dotted(value, f"{prefix}{key}.") if isinstance(value, Mapping) else {f"{prefix}{key}": value}
    return flat
