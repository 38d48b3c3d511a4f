"""Finished stages whose files are not what was written: found before a run goes on, and made anew by it."""

from __future__ import annotations

from collections.abc import Collection

from speech_analogy.adaptation.execution.protocol import RunError
from speech_analogy.adaptation.execution.schedule import set_aside_outdated
from speech_analogy.adaptation.plan.stage import Plan
from speech_analogy.adaptation.records.mark import NOT_AS_WRITTEN, damage, disown
from speech_analogy.adaptation.runs.key import KEY_FILE
from speech_analogy.foundation.locks import held
from speech_analogy.foundation.progress import say


def damaged_stages(plan: Plan, read: Collection[str] = ()) -> dict[str, str]:
    """Finished stage -> which of its files is not what was written, and how.

    Small files are read, and large ones where their size or time is another; the rest, when a stage reads them.

    Args:
        read: stages of which every file is read.
    """
    done = [stage.name for stage in plan if plan.is_done(stage.name)]
    found = {name: damage(plan.folder(name), thorough=name in read) for name in done}
    return {name: problem for name, problem in found.items() if problem is not None}


def set_aside_damaged(plan: Plan, read: Collection[str] = (), *, show: bool = True) -> None:
    """Count damaged stages as not done, for good, and say which; so what was made from others than are there now.

    Arguments as of `damaged_stages`.

    Raises:
        RunError: another process works in the run's folder.
    """
    plan.leave_out(())
    if not plan.run.is_dir() or not any(plan.is_done(stage.name) for stage in plan):
        return
    with held(plan.run, RunError, again=True):
        for name, problem in damaged_stages(plan, read).items():
            disown(plan.folder(name))
            (plan.run / KEY_FILE).unlink(missing_ok=True)
            if show:
                say(f"{name}: {NOT_AS_WRITTEN}: {problem}; it is made anew")
        if set_aside_outdated(plan, show=show):
            (plan.run / KEY_FILE).unlink(missing_ok=True)
