"""Who is let in: a request takes its place among all requests and in its model's queue before its body is read.

model, deadline -> its deployment -> a place in the queue -> a hold on the server -> Ticket, or why there is none

Not thread-safe: the event loop owns it. Knows no HTTP.
"""

from collections import Counter

from app.errors import LinesideError, QueueFull, ShuttingDown, Unavailable
from app.serving.capacity import Capacity
from app.serving.catalogue import Catalogue
from app.serving.deployment import Deployment
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
        self._expected = Counter[Deployment]()
        self._entered = set[Deployment]()
        """All that anybody was admitted to: nobody else's queue holds places. `departures` is asked for every refusal of
        a flood, and looking these up in the catalogue would take three times as long."""

    def admit(
        self,
        request_id: str,
        *,
        model: str | None,
        version: int | None,
        started: float,
        deadline: float,
        expected_by: Deployment | None = None,
    ) -> Ticket:
        """Refuse early, before a body is read, what could not be answered; use the ticket in a `with`.

        Args:
            request_id: for the log.
            model: None: the default one.
            version: None: the default one.
            started: time.monotonic() of its head.
            deadline: time.monotonic().
            expected_by: `room` named it a moment ago: the model is not looked up again, nor whether the time will do.

        Raises:
            InvalidRequest, UnknownModel, NotReady: as Catalogue.find_ready.
            QueueFull, ShuttingDown: no room, or no time.
        """
        if self._is_closed:
            raise _shutting_down()
        deployment = expected_by or self._catalogue.find_ready(model, version)
        self._entered.add(deployment)
        place = deployment.reserve(None if expected_by else deadline)
        try:
            hold = self._capacity.take()
        except QueueFull:
            place.release()
            raise
        return Ticket(request_id, deployment, started, deadline, hold, place)

    def room(self, *, model: str | None, version: int | None, deadline: float) -> Deployment | Unavailable:
        """Where `admit` would find room now, besides what is expected; or what it would raise for want of it.

        Raises:
            InvalidRequest, UnknownModel, NotReady: as Catalogue.find_ready.
        """
        if self._is_closed:
            return _shutting_down()
        deployment = self._catalogue.find_ready(model, version)
        return (
            deployment.refusal(deadline, expected=self._expected[deployment])
            or self._capacity.refusal(expected=sum(self._expected.values()))
            or deployment
        )

    def name_of(self, model: str | None) -> str:
        """The model that a request means, to be counted; empty where it means none that exists."""
        try:
            return self._catalogue.find(model, None).name
        except LinesideError:
            return ""

    def expect(self, deployment: Deployment, requests: int = 1) -> None:
        """So many more were told that there is room and are not admitted yet; fewer, once they were or will not be."""
        self._expected[deployment] += requests

    @property
    def departures(self) -> int:
        """Requests that left the server and places that queues were given back, so far: until the next, none becomes free."""
        return self._capacity.departures + sum(deployment.departures for deployment in self._entered)

    def close(self) -> None:
        """Let nobody in from now on."""
        self._is_closed = True


def _shutting_down() -> ShuttingDown:
    return ShuttingDown("the server is shutting down; try another")
