"""What `plan=true` prints instead of training: what would be trained, in which stacks, memory and time."""

from collections.abc import Sequence

from vec2uage.base.formatting import counted, duration, size
from vec2uage.sweep.grouping import Job, group
from vec2uage.sweep.layout import Layout, lay_out, sweep_plan
from vec2uage.sweep.options import Resume
from vec2uage.sweep.plan import Plan
from vec2uage.sweep.resume import has_ended, resumable


def preview(jobs: Sequence[Job], resume: Resume) -> str:
    """Return the plan of a sweep; writes nothing. Raises UserError if a group's device or data are not there."""
    ended = [job for job in jobs if resume is not False and has_ended(job)]
    to_train = [job for job in jobs if job not in ended]
    if not to_train:
        return f"all runs have ended ({len(jobs)}): nothing to train"
    known = {} if resume is False else resumable(to_train)
    groups = group(to_train, known)
    plan = sweep_plan(groups, None)
    epochs = {job: header.epochs for job, header in known.items()}
    layouts = [lay_out(members, plan, None, epochs.get(members[0], 0)) for members in groups]
    kept = [f"{len(ended)} have ended"] * bool(ended) + [f"{len(known)} go on from a checkpoint"] * bool(known)
    lines = [
        f"{len(to_train)} of {len(jobs)} runs to train" + (f" ({', '.join(kept)})" if kept else ""),
        f"{counted(plan.workers, 'stack')} at a time on {_devices(plan)}, {counted(plan.threads, 'CPU thread')} each",
        "",
        f"{'runs':>5}  {'stacks':>12}  {'steps':>9}  {'memory':>9}  {'at most':>9}",
        *(_line(layout) for layout in layouts),
        "",
        f"memory: about {size(at_a_time(layouts, plan))} at a time, data included",
        f"time:   {_total(layouts)}",
    ]
    return "\n".join(lines)


def _line(layout: Layout) -> str:
    stacks = f"{len(layout.stacks)} of {layout.stack_sizes}"
    why = "" if layout.stack_check.stackable else f" (one by one: {layout.stack_check.reason})"
    time = "?" if layout.seconds is None else duration(layout.seconds)
    return (
        f"{len(layout.jobs):5}  {stacks:>12}  {layout.steps:9,}  "
        f"{size(_bytes(layout) + _data_bytes(layout)):>9}  {time:>9}  {layout.what}{why}"
    )


def _bytes(layout: Layout) -> int:
    largest = max(len(stack) for stack in layout.stacks)
    return min(layout.at_once, len(layout.stacks)) * largest * layout.run_bytes


def _data_bytes(layout: Layout) -> int:
    return sum(part.x.nbytes for part in layout.data.parts.values())


def at_a_time(layouts: Sequence[Layout], plan: Plan) -> int:
    """Return the bytes of the largest stacks that can train at the same time, and of their data on every device."""
    stacks = sorted((layout.run_bytes * len(stack), layout.at_once) for layout in layouts for stack in layout.stacks)
    # A stack trains beside smaller ones, together no more than there may be of it.
    most = max(sum(own for own, _ in stacks[: last + 1][-at_once:]) for last, (_, at_once) in enumerate(stacks))
    data = sorted({layout.data.fingerprint: _data_bytes(layout) for layout in layouts}.values())
    return most + sum(data[-plan.groups :]) * len(set(plan.devices))


def _total(layouts: Sequence[Layout]) -> str:
    networks = [layout for layout in layouts if layout.settings.is_network]
    others = sum(len(layout.jobs) for layout in layouts if layout not in networks)
    unknown = f"not estimated for {counted(others, 'run')} of models without epochs"
    seconds = [layout.seconds for layout in networks if layout.seconds is not None]
    if not networks:
        return unknown
    if len(seconds) < len(networks):
        return (
            "not estimated: trainer.calibrate=true measures it, for two or more runs of networks on vectors, on CPUs "
            "with threads and stack_size auto"
        )
    known = f"about {duration(sum(seconds))} if every run trains to its last epoch; early stopping makes it less"
    return known + (f"; {unknown}" if others else "")


def _devices(plan: Plan) -> str:
    names = dict.fromkeys(str(device) for device in plan.devices)
    return ", ".join(names)
