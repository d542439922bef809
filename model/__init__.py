"""From a recipe to a published model. Imports the core and the engine of `service`, never the reverse."""

import service.engine  # noqa: F401 - before onnxruntime, which it keeps from reporting to Microsoft
