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
from vec2uage.augmentation.execution import Execution
from vec2uage.augmentation.generate import TrainingPart, generate
from vec2uage.augmentation.image_augmentation import ImageAugmentation
from vec2uage.augmentation.source_faces import (
    faces_of_photographs,
    faces_of_rows,
    has_training_part,
    is_prepared,
    read_part,
    settings_of,
)
from vec2uage.augmentation.write_set import write_set
from vec2uage.base.access import refuse_link
from vec2uage.base.arguments import option, shown
from vec2uage.base.errors import UserError
from vec2uage.base.foreign_text import visible
from vec2uage.base.formatting import counted, span
from vec2uage.base.interrupt import Interrupted, interruptible_keeping
from vec2uage.base.lock import only_user_of
from vec2uage.base.manifest import Manifest
from vec2uage.config.command import Invocation
from vec2uage.data.parts import UNDIVIDED
from vec2uage.faces.extraction import Extraction
from vec2uage.faces.prepare import prepare
from vec2uage.faces.prepare_settings import PrepareSettings
from vec2uage.faces.quality import NoQuality

log = logging.getLogger(__name__)

INCOMPLETE = 3  # exit code: all was written, but the keep rule left ages without as many faces as were asked for


def run(settings: AugmentSettings, invocation: Invocation) -> int:
    """Analyse or generate, print what came of it, and return the exit code: 0, or 3 (see INCOMPLETE).

    Raises UserError for photographs without a face, and a folder that is not a prepared set.
    """
    _refuse_own_options(settings, invocation.overrides)
    with interruptible_keeping(settings.store) as stop:
        if settings.task == "analyse":
            return _analyse(settings, invocation, stop)
        prepared, typed_options = Path(settings.path), _typed_options(invocation)
        prepared_with = settings_of(prepared, settings, settings.trust_code)
        return generate_in(prepared, settings.augmentation, prepared_with, settings.overwrite, typed_options, stop)


def prepare_and_augment(settings: PrepareAndAugmentSettings, invocation: Invocation) -> int:
    """Do what `vec2uage.prepare` is asked for; return 0, or 3 (all was written, but see the messages).

    Raises UserError as `faces.prepare.prepare` and `generate_in` do; other options of either before any work.
    """
    folder, augmentation = invocation.folder, settings.augmentation
    if augmentation is not None and not settings.overwrite:
        refuse_other_options(folder_of(folder, augmentation.name), augmentation)
    with interruptible_keeping(settings.store) as stop:
        code = prepare(settings, invocation, stop)
        if augmentation is None:
            return code
        return generate_in(folder, augmentation, settings, settings.overwrite, _typed_options(invocation), stop) or code


def generate_in(
    prepared: Path,
    augmentation: ImageAugmentation,
    prepared_with: PrepareSettings,
    overwrite: bool,
    typed_options: Sequence[str],
    stop: Event,
) -> int:
    """Fill the training part of a prepared set in `augmented/<name>` below it; return 0, or 3 (see INCOMPLETE).

    `prepared_with` are the settings of `prepared`, with the store, workers and device to use now; `typed_options` those
    of `augmentation` as they were typed, which training needs, too. Raises UserError where the set is not divided, or
    the faces there were made with other options, and Interrupted.
    """
    if not has_training_part(prepared):
        raise UserError(f"{prepared}: not divided, so it has no training part to augment: prepare it with split=paper")
    folder = folder_of(prepared, augmentation.name)
    with only_user_of(prepared):
        refuse_link(folder / "images")
        if not overwrite:
            refuse_other_options(folder, augmentation)
        if not overwrite and is_complete(prepared, augmentation):
            log.info("nothing new: %s is complete (overwrite=true writes it anew)", folder)
        else:
            rows = read_part(prepared, "train")
            if stop.is_set():
                raise Interrupted
            part = TrainingPart(prepared, rows, faces_of_rows(rows, prepared, prepared_with, stop))
            with open_augmenter(prepared_with.extraction(None), Execution.of(prepared_with, stop)) as augmenter:
                write_set(generate(augmentation, part, augmenter), augmentation, part, augmenter)
        made = find_augmented(folder)
        assert made is not None, "it was written just now"
        print(_summary(made, folder, prepared, typed_options))
    return INCOMPLETE if made.about["missing"] else 0


def _analyse(settings: AugmentSettings, invocation: Invocation, stop: Event) -> int:
    """Write the analysis to the folder of the invocation and print its table."""
    folder, path = invocation.folder, Path(settings.path)
    execution, keep_rule = Execution.of(settings, stop), settings.augmentation.keep
    if not path.exists():
        raise UserError(f"{path}: no such photograph or folder (path)")
    if is_prepared(path):
        prepared_with = settings_of(path, settings, settings.trust_code)
        rows = read_part(path, "train" if has_training_part(path) else UNDIVIDED)
        sources = list(faces_of_rows(rows, path, prepared_with, stop).values())
        extraction = prepared_with.extraction(None)
        if not sources:
            raise UserError(f"{path}: made of files of vectors, so it has no photographs to augment")
    else:
        extraction = _extraction(settings)
        sources = faces_of_photographs(path, extraction, execution)
    with open_augmenter(extraction, execution) as augmenter:
        draws = analyse(settings.augmentation, sources, settings.draws, augmenter, whole_recipe=True)
        summaries = summarise(draws, keep_rule, settings.age_bands)
        write_analysis(draws, summaries, keep_rule, augmenter, folder)
    faces = counted(min(len(sources), settings.draws), "face")
    print(f"{settings.draws:,} draws of each operation, from {faces}; {extraction.encoder}")
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


def _summary(made: Manifest, folder: Path, prepared: Path, typed_options: Sequence[str]) -> str:
    """Say in a few lines what a folder of augmented faces holds, and how to train on them."""
    about = made.about
    photographed, augmented = sum(about["photographed"].values()), sum(about["augmented"].values())
    dropped, missing = sum(about["dropped_by_rule"].values()), about["missing"]
    operations = ", ".join(about["operations"])
    options = " ".join(["dataset=prepared", option("dataset.path", shown(prepared)), *map(shlex.quote, typed_options)])
    lines = [
        f"augmented {augmented:,} faces beside {photographed:,} photographed ones, by {operations}",
        f"cosine   {about['mean_cosine']:.3f} on average to the face before" if augmented else "",
        f"dropped  {dropped:,} faces by the keep rule" if dropped else "",
        f"missing  {sum(missing.values()):,} faces ({span(missing.values())} of the ages {', '.join(missing)}): the "
        "keep rule drops too many; raise augmentation.keep.retries or widen the rule"
        if missing
        else "",
        f"folder   {shown(folder)}",
        f"train    python -m vec2uage.train {options}",
    ]
    return "\n".join(visible(line) for line in lines if line)


def _typed_options(invocation: Invocation) -> list[str]:
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
