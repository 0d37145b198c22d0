"""Where a sweep's numbers come from, and which runs are missing among them."""

from collections.abc import Sequence

from vec2uage.base.encoder import Encoder
from vec2uage.reporting.collect import Sweep
from vec2uage.reporting.content import Column, Table
from vec2uage.runs.index import run_name


def failures(sweep: Sweep) -> Table:
    """List the runs that did not complete, could not be read, or are there twice."""
    rows: list[tuple[str, str, str]] = [(r.name, r.status, r.reason or "it has not ended") for r in sweep.others]
    rows += [(run_name(path, sweep.folder), "unreadable", reason) for path, reason in sweep.rejects.items()]
    rows += [
        (run_name(path, sweep.folder), "repeated", f"the same run as {earlier}")
        for path, earlier in sweep.repeated.items()
    ]
    return Table(
        "failures",
        "Runs that are left out",
        (Column("run"), Column("status"), Column("reason")),
        tuple(rows),
        "No other table or figure holds them.",
    )


def provenance(sweep: Sweep) -> Table:
    """List where a sweep's numbers come from: data, encoder, versions, machine, and the command that made them."""
    known = [run.result for run in sweep.runs]
    libraries = {key: {str(r.provenance.get(key)) for r in known} for r in known for key in r.provenance}
    facts = {
        "folder": {str(sweep.folder)},
        "command": {r.command for r in known},
        "dataset": {r.dataset for r in known},
        "data fingerprint": {r.data_fingerprint for r in known},
        "encoder": {str(Encoder.parse(r.encoder)) for r in known},
        "code fingerprint": {r.code for r in known},
        "started": {min(r.started for r in known)},
        **libraries,
    }
    return Table(
        "provenance",
        f"Where the numbers of {sweep.name} come from",
        (Column("what"), Column("value")),
        tuple((name, _listed(sorted(values))) for name, values in facts.items()),
    )


def _listed(values: Sequence[str], most: int = 5) -> str:
    more = f" and {len(values) - most} more" if len(values) > most else ""
    return ("; ".join(values[:most]) or "unknown") + more
