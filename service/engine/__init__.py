"""ONNX Runtime: the store on disk, providers, sessions and the tuner. Only here is onnxruntime imported."""
