"""The Open Inference Protocol v2, whichever wire it comes over: tensors in, tensors out, and what is said of models."""
