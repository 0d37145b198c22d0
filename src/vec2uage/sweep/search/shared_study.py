"""A study that several commands share, each with a sweep's folder of its own: `hydra.sweeper.study`."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import optuna
from optuna.distributions import BaseDistribution
from optuna.trial import FrozenTrial, TrialState, create_trial

from vec2uage.base.access import make_folder
from vec2uage.base.errors import UserError
from vec2uage.base.lock import wait_for
from vec2uage.sweep.search.options import SearchOptions
from vec2uage.sweep.search.study import Ended, Study, damage_told, ended, open_journal, sampler, without_torn_line

_FOLDER = "folder"  # of a trial: that of the sweep whose command asked for it


class SharedStudy(Study):
    """Trials of one journal, asked for and told of by several commands at the same time.

    `trials` counts those of all commands. What is suggested depends on what the others have told by then, so that such
    a search does not repeat. A trial belongs to the folder of the sweep that asked for it: a command that was killed
    takes up its own that have not ended.
    """

    _of_another = "name another one by hydra.sweeper.study"

    def __init__(
        self,
        options: SearchOptions,
        space: Mapping[str, BaseDistribution],
        runs: Sequence[Sequence[str]],
        folder: Path,
    ) -> None:
        """Join the study of the journal `options.study`, or begin it, for the command that trains in `folder`.

        Raises UserError where it is of another search, or damaged.
        """
        assert options.study is not None
        path = Path(options.study)
        super().__init__(options, space, runs, path)
        self._folder = str(folder.resolve())
        if path.is_dir():
            raise UserError(f"hydra.sweeper.study = {path} is a folder: name a file, such as {path}/study.journal")
        make_folder(path.parent)
        with self._alone():
            if not path.exists():
                self._begin()
            without_torn_line(path)
            with damage_told(path, "name another one by hydra.sweeper.study"):
                self._study = open_journal(path)
                self._refuse_another(self._study)
                for trial in self.trials:
                    self.folder_of(trial)
                    if trial.state.is_finished():
                        ended(trial)

    def folder_of(self, trial: FrozenTrial) -> Path:
        return Path(trial.user_attrs[_FOLDER])

    def ask(self) -> list[FrozenTrial]:
        """Return own trials that were asked for before and have not ended, else the next, as many as are left."""
        with self._alone():
            before = self.trials
            own = [t for t in before if t.state == TrialState.RUNNING and t.user_attrs[_FOLDER] == self._folder]
            if own:
                return own[: self._options.batch]
            last = min(len(before) + self._options.batch, self._options.trials)
            asking = optuna.create_study(directions=self._study.directions)
            asking.add_trials(before)
            asking.sampler = sampler(self._options, len(before), again=len(before))
            for _ in range(len(before), last):
                trial = asking.ask(self._space)
                begun = create_trial(
                    state=TrialState.RUNNING,
                    params=trial.params,
                    distributions=trial.distributions,
                    user_attrs={_FOLDER: self._folder},
                )
                self._study.add_trial(begun)
            return self.trials[len(before) : last]

    def tell(self, trial: FrozenTrial, ended: Ended) -> None:
        """Tell all commands how a trial has ended."""
        with self._alone():
            self._end(optuna.Trial(self._study, trial._trial_id), ended)

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Keep the other commands from the journal; the lock ends with its process, however that ends."""
        with wait_for(self._path.with_name(f".{self._path.name}.lock")):
            yield
