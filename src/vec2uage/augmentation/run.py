"""`vec2uage.augment` from configuration to files, and the same generation at the end of `vec2uage.prepare`."""

import logging
import re
import shlex
from collections.abc import Sequence
from pathlib import Path
from threading import Event

from vec2uage.augmentation.analysis import analyse, summarise
from vec2uage.augmentation.analysis_report import table, write_analysis, write_sweep
from vec2uage.augmentation.augment_settings import OF_PHOTOGRAPHS, AugmentSettings, PrepareAndAugmentSettings
from vec2uage.augmentation.augmented_set import find_augmented, folder_of, is_complete, refuse_other_options
from vec2uage.augmentation.augmenter import open_augmenter
from vec2uage.augmentation.execution import execution
from vec2uage.augmentation.generate import TrainingPart, generate
from vec2uage.augmentation.settings import ImageAugmentation
from vec2uage.augmentation.source_faces import (
    faces_of_photographs,
    faces_of_rows,
    is_divided,
    is_prepared,
    rows_of,
    settings_of,
)
from vec2uage.augmentation.write_set import write_set
from vec2uage.base.arguments import option, shown
from vec2uage.base.errors import UserError
from vec2uage.base.formatting import counted
from vec2uage.base.interrupt import INTERRUPTED, interruptible
from vec2uage.base.lock import only_user_of
from vec2uage.base.manifest import Manifest
from vec2uage.config.command import Invocation
from vec2uage.faces.extraction import Extraction
from vec2uage.faces.pool import Interrupted
from vec2uage.faces.prepare import prepare
from vec2uage.faces.prepare_settings import PrepareSettings
from vec2uage.faces.quality import NoQuality

log = logging.getLogger(__name__)

INCOMPLETE = 3  # exit code: all was written, but the keep rule left ages without as many faces as were asked for


def run(settings: AugmentSettings, invocation: Invocation) -> int:
    """Analyse or generate, print what came of it, and return the exit code: 0, 3 (see INCOMPLETE), or 130.

    Raises UserError for photographs without a face, and a folder that is not a prepared set.
    """
    _refuse_own_options(settings, invocation.overrides)
    with interruptible() as stop:
        try:
            if settings.task == "generate":
                how = settings_of(
                    Path(settings.path), store=settings.store, workers=settings.workers, device=settings.device
                )
                chosen = _chosen(invocation)
                return generate_in(Path(settings.path), settings.augmentation, how, settings.overwrite, chosen, stop)
            return _analyse(settings, invocation, stop)
        except Interrupted:
            log.warning("what was computed is kept in %s: the same command continues", settings.store)
            return INTERRUPTED


def prepare_and_augment(settings: PrepareAndAugmentSettings, invocation: Invocation) -> int:
    """Do what `vec2uage.prepare` is asked for; return 0, 3 (all was written, but see the messages), or 130.

    Raises UserError as `faces.prepare.prepare` and `generate_in` do; other options of either before any work.
    """
    folder, augmentation = invocation.folder, settings.augmentation
    if augmentation is not None and not settings.overwrite:
        refuse_other_options(folder_of(folder, augmentation.name), augmentation)
    with interruptible() as stop:
        code = prepare(settings, invocation, stop)
        if augmentation is None or code == INTERRUPTED:
            return code
        try:
            return generate_in(folder, augmentation, settings, settings.overwrite, _chosen(invocation), stop) or code
        except Interrupted:
            log.warning("what was computed is kept in %s: the same command continues", settings.store)
            return INTERRUPTED


def generate_in(
    prepared: Path,
    augmentation: ImageAugmentation,
    how: PrepareSettings,
    overwrite: bool,
    chosen: Sequence[str],
    stop: Event,
) -> int:
    """Fill the training part of a prepared set in `augmented/<name>` below it; return 0, or 3 (see INCOMPLETE).

    `chosen` are the options of `augmentation` as they were set, which training needs, too. Raises UserError where the
    set is not divided, or the faces there were made with other options, and Interrupted.
    """
    if not is_divided(prepared):
        raise UserError(f"{prepared}: not divided, so it has no training part to augment: prepare it with split=paper")
    folder = folder_of(prepared, augmentation.name)
    with only_user_of(prepared):
        if not overwrite:
            refuse_other_options(folder, augmentation)
        if not overwrite and is_complete(prepared, augmentation):
            log.info("nothing new: %s is complete (overwrite=true writes it anew)", folder)
        else:
            rows = rows_of(prepared, "train")
            if stop.is_set():
                raise Interrupted
            part = TrainingPart(prepared, rows, faces_of_rows(rows, prepared, how, stop))
            with open_augmenter(how.extraction(None), execution(how, stop)) as augmenter:
                write_set(generate(augmentation, part, augmenter), augmentation, part, augmenter)
        made = find_augmented(folder)
        assert made is not None, "it was written just now"
        print(_summary(made, folder, prepared, chosen))
    return INCOMPLETE if made.about["missing"] else 0


def _analyse(settings: AugmentSettings, invocation: Invocation, stop: Event) -> int:
    """Write the analysis to the folder of the invocation and print its table."""
    folder, path = invocation.folder, Path(settings.path)
    computing, keep_rule = execution(settings, stop), settings.augmentation.keep
    if not path.exists():
        raise UserError(f"{path}: no such photograph or folder (path)")
    if is_prepared(path):
        how = settings_of(path, store=settings.store, workers=settings.workers, device=settings.device)
        rows = rows_of(path, "train" if is_divided(path) else None)
        sources = list(faces_of_rows(rows, path, how, stop).values())
        extraction = how.extraction(None)
        if not sources:
            raise UserError(f"{path}: made of files of vectors, so it has no photographs to augment")
    else:
        extraction = _extraction(settings)
        sources = faces_of_photographs(path, extraction, computing)
    with open_augmenter(extraction, computing) as augmenter:
        draws = analyse(settings.augmentation, sources, settings.draws, augmenter, together=True)
        summaries = summarise(draws, keep_rule, settings.age_bands)
        write_analysis(draws, summaries, keep_rule, augmenter, folder)
    faces = counted(min(len(sources), settings.draws), "face")
    print(f"{settings.draws:,} draws of each operation, from {faces}; {augmenter.encoder}")
    print(table(summaries, keep_rule))
    place = shown(folder)
    print(f"\ntables:   {place}/analysis.csv, cosines.csv\nfigures:  {place}/violin.png, grid.png")
    if invocation.sweep:
        print(f"sweep:    {shown(write_sweep(folder.parent))}")
    return 0


def _extraction(settings: AugmentSettings) -> Extraction:
    """Return how the faces of photographs are found, cut out and embedded."""
    return Extraction(
        detector=settings.detector,
        faces="largest",
        crop=settings.crop,
        quality=NoQuality(),
        embedder=settings.embedder,
        max_pixels=settings.max_pixels,
        keep_crops=None,
    )


def _summary(made: Manifest, folder: Path, prepared: Path, chosen: Sequence[str]) -> str:
    """Say in a few lines what a folder of augmented faces holds, and how to train on them."""
    about = made.about
    photographed, augmented = sum(about["photographed"].values()), sum(about["augmented"].values())
    dropped, missing = sum(about["dropped_by_rule"].values()), about["missing"]
    operations = ", ".join(about["operations"])
    options = " ".join(["dataset=prepared", option("dataset.path", shown(prepared)), *map(shlex.quote, chosen)])
    lines = [
        f"augmented {augmented:,} faces beside {photographed:,} photographed ones, by {operations}",
        f"cosine   {about['mean_cosine']:.3f} on average to the face before" if augmented else "",
        f"dropped  {dropped:,} faces by the keep rule" if dropped else "",
        f"missing  {sum(missing.values()):,} faces (ages {', '.join(missing)}): the keep rule drops too many; raise "
        "augmentation.keep.retries or widen the rule"
        if missing
        else "",
        f"folder   {shown(folder)}",
        f"train    python -m vec2uage.train {options}",
    ]
    return "\n".join(line for line in lines if line)


def _chosen(invocation: Invocation) -> list[str]:
    """Return the options of the config group `augmentation` as the user set them, the choice first."""
    options = [o for o in invocation.overrides if o.lstrip("+~").startswith("augmentation.")]
    return [f"augmentation={invocation.choices['augmentation']}", *options]


def _refuse_own_options(settings: AugmentSettings, overrides: Sequence[str]) -> None:
    """Refuse options that a prepared set answers for itself, rather than leave them without effect."""
    if settings.task == "analyse" and not is_prepared(Path(settings.path)):
        return
    given = [o for o in overrides if re.split(r"[.=@]", o.lstrip("+~"))[0] in OF_PHOTOGRAPHS]
    if given:
        raise UserError(
            f"{given[0]}: the faces of {settings.path} are found, cut out and embedded as when it was prepared: "
            "leave this option out"
        )
