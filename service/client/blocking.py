"""The same client for code without an event loop: `AsyncClient` on a thread of its own."""

from __future__ import annotations

from service.client.aio import AsyncClient
from service.client.thread import Threaded, blocking, iterating


class Client(Threaded):
    """`AsyncClient`, blocking; may be shared by threads. Arguments and errors are the same."""

    classify = blocking(AsyncClient.classify)
    classify_many = iterating(AsyncClient.classify_many)

    models = blocking(AsyncClient.models)
    model = blocking(AsyncClient.model)
    load = blocking(AsyncClient.load)
    unload = blocking(AsyncClient.unload)

    prediction = blocking(AsyncClient.prediction)

    routing = blocking(AsyncClient.routing)
    set_routing = blocking(AsyncClient.set_routing)
    roll_back_routing = blocking(AsyncClient.roll_back_routing)

    layers = blocking(AsyncClient.layers)
    features = blocking(AsyncClient.features)
    maps = iterating(AsyncClient.maps)
    explain = blocking(AsyncClient.explain)
    attribute = blocking(AsyncClient.attribute)
    attribution = iterating(AsyncClient.attribution)

    diagnose = blocking(AsyncClient.diagnose)
    diagnosis = iterating(AsyncClient.diagnosis)
    compare = blocking(AsyncClient.compare)
    comparison = iterating(AsyncClient.comparison)
    profile = blocking(AsyncClient.profile)
