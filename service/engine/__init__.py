"""ONNX Runtime: the store on disk, providers, sessions and the tuner. Only here is onnxruntime imported."""

import os

# From 1.29 on the official builds for Linux tell Microsoft about every session. Whoever wants that sets the variable to
# nothing. It is read when onnxruntime is imported, hence here.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
