"""Doing a plan with an executor: the stage that holds up most goes first, and the time left is corrected on the way."""

from __future__ import annotations

import time

from speech_analogy.adaptation.execution.protocol import Executor, Finished, Job, RunError
from speech_analogy.adaptation.plan.estimate import clock, cost_of, urgencies, wall_clock_of
from speech_analogy.adaptation.plan.machine_pace import REFERENCE, MachinePace
from speech_analogy.adaptation.plan.stage import Plan, Stage
from speech_analogy.adaptation.records.mark import DamagedStageError, disown
from speech_analogy.foundation import progress
from speech_analogy.foundation.locks import held

TRUST_S = 120.0  # of work after which the measured pace counts as much as the estimate
LOOK_S = 5.0  # between two looks at the time that is left


def execute(
    plan: Plan,
    executor: Executor,
    *,
    show: bool = True,
    base_bytes: int = 0,
    pace: MachinePace = REFERENCE,
    command: str = "",
    held_by_caller: bool = False,
) -> None:
    """Do every stage that is not done. Killed and started again, it goes on where it was.

    A finished stage whose files turn out damaged when another one reads them is made anew, once. What was made from a
    stage that has come out otherwise since, with other libraries or on another processor, is made anew too.

    Args:
        command: what the user typed, for the record.
        base_bytes, pace: for the time left; see `cost_of`.
        held_by_caller: the caller holds the run's folder, perhaps.

    Raises:
        RunError: another process works in this folder, or a worker died.
        SpeechAnalogyError: what a stage found wrong.
    """
    with held(plan.run, RunError, again=held_by_caller):
        set_aside_outdated(plan, show=show)
        todo = plan.undone()
        if todo:
            _Schedule(plan, todo, executor, show, base_bytes, pace, command).run()


def set_aside_outdated(plan: Plan, *, show: bool = True) -> list[str]:
    """Count finished stages as not done that were made from other files than are there now; which ones.

    For whoever holds the run's folder.
    """
    found = []
    for stage in plan:
        source = plan.outdated(stage.name)
        if source is not None:
            disown(plan.folder(stage.name))
            found.append(stage.name)
            if show:
                progress.say(
                    f"{stage.name}: {source} has come out otherwise since it was made from it; it is made anew"
                )
    return found


class _Schedule:
    """The stages that are left, which are at work, and how long it will still take."""

    def __init__(
        self,
        plan: Plan,
        todo: list[Stage],
        executor: Executor,
        show: bool,
        base_bytes: int,
        pace: MachinePace,
        command: str,
    ) -> None:
        self.plan, self.executor, self.show = plan, executor, show
        self.base_bytes, self.pace, self.command = base_bytes, pace, command
        self.mended: set[str] = set()
        self.waiting = {stage.name: stage for stage in todo}
        self.above = _above(plan)
        self.running: dict[str, Stage] = {}
        self.began: dict[str, float] = {}
        self.urgency = urgencies(todo)
        self.total = len(todo)
        self.estimated = self.taken = TRUST_S  # as if the estimate had already held for a while

    def run(self) -> None:
        with self.executor, progress.bar(self.total, "stages", "stages", show=self.show) as bar:
            try:
                while self.waiting or self.running:
                    self._submit()
                    for finished in self.executor.wait(LOOK_S):
                        self._finish(finished)
                    bar.reached(self._done(), left_s=self._left_s())
            except BaseException:
                self.executor.cancel()
                raise

    def _submit(self) -> None:
        left = {*self.waiting, *self.running}
        ready = [stage for stage in self.waiting.values() if self.above[stage.name].isdisjoint(left)]
        for stage in sorted(ready, key=lambda stage: self.urgency[stage.name], reverse=True):
            if len(self.running) >= self.executor.slots:
                return
            del self.waiting[stage.name]
            self.began[stage.name] = time.monotonic()
            self.running[stage.name] = stage
            self.executor.submit(
                Job(
                    stage,
                    self.plan.building(stage.name),
                    self.plan.folder(stage.name),
                    self.plan.inputs(stage.name),
                    self.plan.made_elsewhere(stage.name),
                    self.show,
                    self.command,
                )
            )

    def _finish(self, finished: Finished) -> None:
        stage = self.running.pop(finished.name)
        if isinstance(finished.error, DamagedStageError) and self._mend(finished.error, stage):
            return
        if finished.error is not None:
            raise finished.error
        seconds = time.monotonic() - self.began[stage.name]
        self.estimated += cost_of([stage], self.base_bytes, self.pace)
        self.taken += seconds
        if self.show:
            eta = f", about {clock(self._left_s())} left" if self.waiting or self.running else ""
            progress.say(f"[{self._done()}/{self.total}] {stage.name} took {clock(seconds)}{eta}")

        self._redo_what_was_made_from(stage)

    def _redo_what_was_made_from(self, made: Stage) -> None:
        """Have finished stages done again that were made from an earlier stage of this name, which was another one."""
        for stage in self.plan:
            if made.name in stage.needs and stage.name not in self.waiting and self.plan.outdated(stage.name):
                disown(self.plan.folder(stage.name))
                self.waiting[stage.name] = stage
                self.urgency.setdefault(stage.name, self.urgency[made.name])
                self.total += 1
                if self.show:
                    progress.say(f"{stage.name}: {made.name} has come out otherwise; it is made anew, too")

    def _mend(self, error: DamagedStageError, reader: Stage) -> bool:
        """Have a damaged stage done again, and what wanted to read it after that; once, or the disk is at fault."""
        found = next((stage for stage in self.plan if self.plan.folder(stage.name).name == error.field), None)
        if found is None:
            return False
        if found.name not in self.waiting and found.name not in self.running:
            if found.name in self.mended:
                return False
            self.mended.add(found.name)
            self.waiting[found.name] = found
            self.urgency[found.name] = self.urgency[reader.name]
            if self.show:
                progress.say(f"{found.name}: {error.rule}; it is made anew")
        self.waiting[reader.name] = reader
        return True

    def _done(self) -> int:
        return max(0, self.total - len(self.waiting) - len(self.running))

    def _left_s(self) -> float:
        now, correction = time.monotonic(), self.taken / self.estimated
        left = [*self.running.values(), *self.waiting.values()]
        begun = {name: (now - self.began[name]) / correction for name in self.running}
        return correction * wall_clock_of(left, self.executor.slots, self.base_bytes, begun, self.pace)


def _above(plan: Plan) -> dict[str, set[str]]:
    """Stage -> all that it is made from, directly or not: none of these may be made while it is."""
    found: dict[str, set[str]] = {}
    for stage in plan:
        found[stage.name] = {one for need in stage.needs for one in (need, *found[need])}
    return found
