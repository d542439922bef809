"""Where everything is built: the only place that knows concrete classes, and the whole configuration.

One module draws the picture of each role: `embedded`, `front_end`, `worker`. They are imported when they are asked
for, since a front-end is to run where no ONNX Runtime is installed.
"""

from __future__ import annotations

from service.config import Config
from service.lifecycle import Lifecycle


def build_server(config: Config) -> Lifecycle:
    """What `vitrine serve` runs: the whole of it in this process, or with `redis` a front-end of workers elsewhere.

    Raises `ServiceError` when the installation or the configuration rules it out.
    """
    if config.redis is None:
        from service.bootstrap import embedded  # noqa: PLC0415 - see above

        return embedded.build(config)
    from service.bootstrap import front_end  # noqa: PLC0415 - see above

    return front_end.build(config)
