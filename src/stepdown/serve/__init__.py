"""Serves a bundle over HTTP: an API for programs and a page for people.

    limits       how much may be asked for
    batcher      requests that wait together are answered together, in one thread
    erasure      which words an answer rests on
    schemas      what is asked and answered
    forms        those of one kind of model
    documents    what OpenAPI tells of it
    bodies       a request's body, bounded in size and time, and what is wrong with it
    metrics      counters for Prometheus
    hosts        by which names it may be asked
    middleware   what every answer has: headers, and its line in the metrics
    front        the page, answered by the server (server.js)
    service      what the routes share: the model, asked within limits
    app          the routes
    connections  how many are open, and how long one may wait
    server       the socket, the signals, and the end

Left out, and why. Login and encryption: a reverse proxy does them better. The interactive documentation that
FastAPI offers: it loads scripts from elsewhere, and nothing here makes a browser do so; /openapi.json is there.
Answers to pages of other origins (CORS): a page that a user happens to visit has no business with the server on
their machine. Several processes: a bundle's network already uses all processors.

Importing this package needs nothing but the core; its modules need the extra `serve`.
"""

from stepdown.serve.limits import Limits

__all__ = ["Limits"]
