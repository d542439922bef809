"""From a trained network to one ONNX file: the canonical graph, with the spec inside.

Canonical means that every module keeps its own node and name: constants are folded and the graph is cleaned, but no
batch norm and no padding is merged into its convolution. ONNX Runtime does that when it loads the file to serve it, so
nothing is lost (tests/bench/export_speed.py measures it), and any layer can still be looked at.
"""

from __future__ import annotations

import warnings
from dataclasses import replace

import onnx
import onnx_ir as ir
import onnx_ir.passes.common as passes
import torch
from onnxscript import rewriter
from onnxscript.optimizer import _constant_folding as folding
from onnxscript.rewriter.rules.common import _fuse_batchnorm, _fuse_pad_into_conv
from torch import Tensor, nn

from model.layers import SCOPES_KEY, layers, module_calls
from service.core.errors import Refused
from service.core.spec import INPUT_NAME, METADATA_KEY, OUTPUT_NAME, Preprocess, Spec, to_json

#: Rewrites that merge a module into its convolution: the canonical graph does without them.
MERGING = (*_fuse_batchnorm.rules, *_fuse_pad_into_conv.rules)
OPSET = 18  #: what the exporter writes natively; everything from ONNX Runtime 1.14 and OpenVINO 2023 on reads it
_ROOT = "net"


class Served(nn.Module):
    """What is exported: pixels [N, height, width, channels] uint8 -> logits [N, classes] float32.

    Normalisation is `(pixel * scale - mean) / std`, done as one multiplication and one addition per pixel.
    """

    def __init__(self, net: nn.Module, preprocess: Preprocess) -> None:
        super().__init__()
        self.net = net
        std = torch.tensor(preprocess.std, dtype=torch.float64)
        mean = torch.tensor(preprocess.mean, dtype=torch.float64)
        self.register_buffer("scale", (preprocess.scale / std).float().reshape(1, -1, 1, 1))
        self.register_buffer("shift", (-mean / std).float().reshape(1, -1, 1, 1))

    def forward(self, image: Tensor) -> Tensor:
        """Raw outputs for raw pixels."""
        # Transposing first moves bytes instead of floats. Contiguous, or PyTorch would go on in channels-last strides,
        # which the exporter spells out with Gather.
        pixels = image.permute(0, 3, 1, 2).contiguous().to(torch.float32)
        logits: Tensor = self.net(pixels * self.get_buffer("scale") + self.get_buffer("shift"))
        return logits


def export(net: nn.Module, spec: Spec) -> tuple[bytes, Spec]:
    """The ONNX file's bytes, and the spec that it carries: `spec` with its layers filled in.

    `net` maps normalised float32 [N, channels, height, width] to logits [N, classes]; it is switched to evaluation.
    The same weights give the same bytes. Raises `Refused` when the network cannot be exported.
    """
    program = _program(Served(net, spec.preprocess).eval(), spec)
    model = _canonical(program.model)
    _check_output(model, spec)
    assert program.exported_program is not None
    complete = replace(spec, layers=layers(model.graph, module_calls(program.exported_program, _ROOT)))
    _strip(model)
    return with_spec(ir.to_proto(model), complete), complete


def with_spec(model: onnx.ModelProto, spec: Spec) -> bytes:
    """The model's bytes with `spec` as the one spec inside."""
    onnx.helper.set_model_props(model, {METADATA_KEY: to_json(spec)})
    return model.SerializeToString(deterministic=True)


def canonical_passes() -> ir.passes.Sequential:
    """What cleans the exporter's graph and keeps one node per module."""
    # The default rules have no public name; the version of onnxscript is pinned, a test counts the nodes that remain.
    rules = [rule for rule in rewriter._DEFAULT_REWRITE_RULES if rule not in MERGING]  # noqa: SLF001
    return ir.passes.Sequential(
        ir.passes.PassManager(
            [
                folding.FoldConstantsPass(shape_inference=True, input_size_limit=8192, output_size_limit=512 * 512),
                rewriter.RewritePass(rules),
                passes.RemoveUnusedNodesPass(),
            ],
            steps=2,
        ),
        passes.LiftConstantsToInitializersPass(lift_all_constants=True, size_limit=0),
    )


def _program(served: Served, spec: Spec) -> torch.onnx.ONNXProgram:
    # Two items: with one, torch.export would take the batch axis for a constant.
    pixels = torch.zeros(2, *spec.shape, dtype=torch.uint8)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the exporter warns about its own internals
            program = torch.onnx.export(
                served,
                (pixels,),
                dynamo=True,
                optimize=False,
                opset_version=OPSET,
                input_names=[INPUT_NAME],
                output_names=[OUTPUT_NAME],
                dynamic_shapes=({0: torch.export.Dim("batch")},),
                verbose=False,
            )
    except torch.onnx.errors.OnnxExporterError as error:
        raise Refused(f"{spec.name}: the network cannot be exported: {_first_cause(error)}") from error
    assert program is not None
    return program


def _canonical(model: ir.Model) -> ir.Model:
    return canonical_passes()(model).model


def _check_output(model: ir.Model, spec: Spec) -> None:
    shapes = [tuple(value.shape or ()) for value in model.graph.outputs]
    if len(shapes) != 1 or len(shapes[0]) != 2 or shapes[0][1] != len(spec.labels):
        raise Refused(f"{spec.name}: the network must give [batch, {len(spec.labels)}], one per label, not {shapes}")


def _strip(model: ir.Model) -> None:
    """Take out what must not travel: stack traces with this machine's paths, and the wrapper's names."""
    model.metadata_props.clear()
    model.graph.metadata_props.clear()
    for value in model.graph.initializers.values():
        value.metadata_props.clear()
    for node in model.graph:
        scopes = node.metadata_props.get(SCOPES_KEY)
        node.metadata_props.clear()
        for value in node.outputs:
            value.metadata_props.clear()
        if scopes is not None:
            node.metadata_props[SCOPES_KEY] = scopes.replace(f"'{_ROOT}.", "'").replace(f"'{_ROOT}', ", "")
    for value in list(model.graph.initializers.values()):
        if value.name in {"scale", "shift"}:
            value.name = f"{INPUT_NAME}/{value.name}"
        else:
            value.name = str(value.name).removeprefix(f"{_ROOT}.")


def _first_cause(error: BaseException) -> str:
    cause = error
    while cause.__cause__ is not None:
        cause = cause.__cause__
    return str(cause).strip().splitlines()[0] if str(cause).strip() else type(cause).__name__
