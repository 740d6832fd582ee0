"""Who is let in: a request takes its place among all requests and in its model's queue before its body is read.

model, deadline -> its deployment -> a place in the queue -> a hold on the server -> Ticket, or why there is none

Not thread-safe: the event loop owns it. Knows no HTTP.
"""

from app.errors import QueueFull, ShuttingDown, Unavailable
from app.serving.capacity import Capacity
from app.serving.catalogue import Catalogue
from app.serving.request import Ticket


class Admission:
    """The door of a server.

    Args:
        catalogue: filled by wiring, before and while this runs.
        capacity: bound on the requests that are inside at all.
    """

    def __init__(self, catalogue: Catalogue, capacity: Capacity) -> None:
        self._catalogue = catalogue
        self._capacity = capacity
        self._is_closed = False

    def admit(
        self, request_id: str, *, model: str | None, version: int | None, started: float, deadline: float
    ) -> Ticket:
        """Refuse early, before a body is read, what could not be answered; use the ticket in a `with`.

        Raises:
            InvalidRequest, UnknownModel, NotReady: as Catalogue.find_ready.
            QueueFull, ShuttingDown: no room, or no time.
        """
        if self._is_closed:
            raise _shutting_down()
        deployment = self._catalogue.find_ready(model, version)
        place = deployment.reserve(deadline)
        try:
            hold = self._capacity.take()
        except QueueFull:
            place.release()
            raise
        return Ticket(request_id, deployment, started, deadline, hold, place)

    def refusal(self, *, model: str | None, version: int | None, deadline: float) -> Unavailable | None:
        """What `admit` would raise now for want of room; None: there is some.

        Raises:
            InvalidRequest, UnknownModel, NotReady: as Catalogue.find_ready.
        """
        if self._is_closed:
            return _shutting_down()
        return self._catalogue.find_ready(model, version).refusal(deadline) or self._capacity.refusal()

    @property
    def departures(self) -> int:
        """Requests that have left so far: until the next does, no place becomes free."""
        return self._capacity.departures

    def close(self) -> None:
        """Let nobody in from now on."""
        self._is_closed = True


def _shutting_down() -> ShuttingDown:
    return ShuttingDown("the server is shutting down; try another")
