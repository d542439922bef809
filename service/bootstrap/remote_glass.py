"""A front-end's introspection: the workers' model files are mounted, and an engine is loaded only to look into one."""

from __future__ import annotations

from functools import partial

from service.bootstrap.doors import Glass, glass
from service.bootstrap.engines import file_of, opener
from service.bootstrap.glass import diagnostics, introspector
from service.config import Config
from service.core.events import Emit
from service.core.use_cases import ModelCatalog
from service.engine.arena import shrink_arena
from service.engine.store import ModelStore
from service.introspect.mounted import Mounted

#: Nothing is measured for an engine that computes a picture now and then: plain fp32 on one thread.
_PLAIN = {"providers": ("cpu",), "precision": "exact", "lanes": 1, "intra_op_threads": 1, "batch": 1}


def remote_glass(config: Config, catalog: ModelCatalog, emit: Emit) -> Glass:
    """Looks into what `catalog` says is served. Raises `Refused` when no ONNX Runtime is installed here."""
    store = ModelStore(config.models)
    mounted = Mounted(catalog.get, opener(config.model_copy(update=_PLAIN), store), partial(file_of, store))
    looking = introspector(config, mounted.subject)
    return glass(config, looking, diagnostics(looking, store), emit=emit, rest=shrink_arena, busy=lambda: False)
