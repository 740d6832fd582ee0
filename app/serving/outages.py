"""What the workers' states mean for whoever relies on the model: whether it may serve, and what is out of service.

Ready means: may drive the gate. One living worker is enough; the rest is told. Load is no fault.
"""

from collections.abc import Sequence

from app.serving.worker import WorkerState


def living_names(states: Sequence[WorkerState]) -> str:
    """The devices that answer, with commas between."""
    return ", ".join(state.name for state in states if state.is_alive)


def count_out_of_service(states: Sequence[WorkerState], *, stall_s: float) -> int:
    """Devices that were lost or hang; arguments as `fault_of`."""
    return sum(_outage(state, stall_s) is not None for state in states)


def fault_of(states: Sequence[WorkerState], *, stall_s: float) -> str | None:
    """Why the model may not serve; None when it may.

    Args:
        states: of all workers that were started.
        stall_s: a batch that runs longer means that its device hangs.
    """
    living = [state for state in states if state.is_alive]
    if not living:
        lost = [f"{state.name} is out of service ({state.lost})" for state in states if state.lost]
        return "; ".join([*lost, "its worker is not running; restart the server"])
    busy_s = min(state.busy_s for state in living)
    if busy_s > stall_s:
        return f"its device has not answered for {busy_s:.0f} s; check the device and restart the server"
    return None


def outages_of(states: Sequence[WorkerState], *, stall_s: float) -> tuple[str, ...]:
    """What is out of service although the model still answers; arguments as `fault_of`."""
    living = [state for state in states if state.is_alive]
    if not living:
        return ()
    told = [note for state in states if (note := _outage(state, stall_s)) is not None]
    if all(state.is_fallback for state in living):
        told.append(f"only {living_names(living)} answers, more slowly")
    return tuple(told)


def _outage(state: WorkerState, stall_s: float) -> str | None:
    if state.lost is not None:
        return f"{state.name} is out of service ({state.lost}); mend it and restart the server"
    if state.busy_s > stall_s:
        return f"{state.name} has not answered for {state.busy_s:.0f} s; check it and restart the server"
    return None
