"""The web server's worker with shorter deadlines, for tests that wait for them."""

from __future__ import annotations

from web.stack import bodies, server

server.HEAD_S = 2.0
bodies.BODY_S = 3.0


class QuickWorker(server.DeadlineWorker):
    """As it is in all but its deadlines."""
