"""Which classes are imported because a file names them: those of known packages, others only where the user says so."""

from collections.abc import Iterator, Mapping
from typing import Any

from vec2uage.base.errors import UserError

KNOWN_PACKAGES = ("vec2uage", "torch", "sklearn")


def check_trusted(found: Any, where: str, trust_code: bool) -> None:
    """Raise UserError where a configuration that was found in the file `where` names a class of another package.

    Importing a module runs it, and it may lie beside the file: whoever made the folder decides what it does. With
    `trust_code` the user has decided so.
    """
    if trust_code:
        return
    for target in _targets(found):
        if target.partition(".")[0] not in KNOWN_PACKAGES:
            raise UserError(
                f"{where} names the class {target[:200]}, whose module would be imported and can do anything: set "
                "trust_code=true if you know whose it is"
            )


def _targets(found: Any) -> Iterator[str]:
    """Yield every `_target_` within a configuration."""
    pending = [found]
    while pending:
        node = pending.pop()
        if isinstance(node, Mapping):
            if isinstance(target := node.get("_target_"), str):
                yield target
            pending += node.values()
        elif isinstance(node, list | tuple):
            pending += node
