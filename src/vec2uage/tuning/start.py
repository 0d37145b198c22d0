"""The run that a tuning begins from: trained on the vectors of the same split, so that nothing it saw is tested."""

from vec2uage.base.errors import UserError
from vec2uage.data.parts import Parts
from vec2uage.runs.folder import RunFolder
from vec2uage.runs.models import model_files
from vec2uage.training import model_file
from vec2uage.training.completed_run import CompletedRun, check_data, check_encoder, split_seed
from vec2uage.training.heads.base import Head
from vec2uage.training.model_file import NetworkModel
from vec2uage.training.run_settings import RunSettings

_OPTION = "model.start"


def completed_runs(start: str) -> list[CompletedRun]:
    """Return the runs that `model.start` names: one, or those of a sweep; UserError where one is no completed run."""
    found = []
    for path in model_files([start], _OPTION, is_told=False):
        folder = RunFolder(path.parent)
        if path != folder.model_of(NetworkModel.suffix) or not folder.result.is_file():
            raise UserError(f"{path} is not the model of a run of a network ({_OPTION}): give the folder of such a run")
        result = folder.read_result()
        if result.status != "completed" or path.name not in result.files:
            raise UserError(f"{path.parent} is no completed run but {result.ending} ({_OPTION}): give another")
        found.append(CompletedRun(path, result))
    return found


def chosen(start: str, own: RunSettings) -> CompletedRun:
    """Return the run that a run begins from: of a sweep, the one of its seed and its split.

    Raises UserError where there is none, or more than one.
    """
    runs = completed_runs(start)
    if len(runs) > 1:
        runs = [run for run in runs if (run.result.seed, split_seed(run, False)) == (own.seed, own.split_seed)]
        if len(runs) != 1:
            raise UserError(
                f"{start} holds {len(runs)} completed runs of seed={own.seed} and split.seed={own.split_seed} "
                f"({_OPTION}): give the folder of one run, or of a sweep that has just one of each"
            )
    return runs[0]


def start_of(start: str, own: RunSettings, parts: Parts) -> CompletedRun:
    """Return what `chosen` does; UserError also where that run may have learnt from faces that are held out here."""
    run = chosen(start, own)
    check_data(run, False, parts, _OPTION)
    check_encoder(run, read_model(run).encoder, parts, _OPTION)
    return run


def read_model(run: CompletedRun) -> NetworkModel:
    """Read the model of a run; UserError where it is not as the run wrote it, of a class of one's own, or several."""
    if not run.folder.is_as_written(run.path, run.result):
        raise UserError(f"{run.path} has changed since its run ended ({_OPTION}): train that run again")
    model = model_file.load(run.path)
    if model.members > 1:
        raise UserError(f"{run.path} holds {model.members} networks ({_OPTION}): an encoder is tuned with one of them")
    return model


def check_head(run: CompletedRun, model: NetworkModel, head: Head) -> None:
    """Raise UserError unless a model's outputs mean what those of `head` do."""
    here, there = (type(one).__qualname__.lower() for one in (head, model.head))
    if type(model.head) is not type(head) or model.head.to_predict() != head.to_predict():
        raise UserError(
            f"head = {here} {head.to_predict()}: {run.folder.path} (model.start) has {there} "
            f"{model.head.to_predict()}: set head and its options as in that run"
        )
