"""Small networks that hold, between them, whatever a CNN is made of. Weights and statistics are random but fixed."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from model.export import export
from model.net import SidedConv2d
from service.core.spec import Preprocess, Spec

HEIGHT, WIDTH = 19, 17


class Residual(nn.Module):
    """One activation module used three times, batch norms, a projection and a functional sum."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 6, 3, padding=1, bias=False), nn.BatchNorm2d(6))
        self.act = nn.ReLU(inplace=True)
        self.conv1 = nn.Conv2d(6, 8, 3, stride=2, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(8)
        self.conv2 = nn.Conv2d(8, 8, 3, padding=1)
        self.down = nn.Conv2d(6, 8, 1, stride=2)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(8, 4)

    def forward(self, images: Tensor) -> Tensor:
        """[N, 3, H, W] -> [N, 4]."""
        x = self.act(self.stem(images))
        y = self.conv2(self.act(self.bn1(self.conv1(x))))
        return self.fc(torch.flatten(self.pool(self.act(y + self.down(x))), 1))  # type: ignore[no-any-return]


class Mobile(nn.Module):
    """Depthwise convolution, SiLU, HardSwish, ReLU6, and a squeeze-and-excitation gate."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 8, 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(8), nn.SiLU())
        self.depthwise = nn.Sequential(nn.Conv2d(8, 8, 5, padding=2, groups=8, bias=False), nn.BatchNorm2d(8))
        self.hardswish = nn.Hardswish()
        self.squeeze = nn.AdaptiveAvgPool2d(1)
        self.reduce = nn.Conv2d(8, 4, 1)
        self.expand = nn.Conv2d(4, 8, 1)
        self.gate = nn.Hardsigmoid()
        self.project = nn.Conv2d(8, 6, 1)
        self.relu6 = nn.ReLU6()
        self.fc = nn.Linear(6, 4)

    def forward(self, images: Tensor) -> Tensor:
        """[N, 3, H, W] -> [N, 4]."""
        x = self.hardswish(self.depthwise(self.stem(images)))
        x = x * self.gate(self.expand(functional.relu(self.reduce(self.squeeze(x)))))
        return self.fc(self.relu6(self.project(x)).mean((2, 3)))  # type: ignore[no-any-return]


class Sided(nn.Module):
    """Asymmetric padding, dilation, strides, groups, pools with padding, a dense head with tanh."""

    def __init__(self) -> None:
        super().__init__()
        self.sided = SidedConv2d(3, 6, 3, 2, sides=(0, 1, 2, 3))
        self.leaky = nn.LeakyReLU(0.1)
        self.dilated = nn.Conv2d(6, 8, (3, 2), stride=(1, 2), padding=(2, 1), dilation=(2, 1), groups=2)
        self.maxpool = nn.MaxPool2d(3, 2, 1)
        self.avgpool = nn.AvgPool2d(2, 1, padding=1)
        self.flatten = nn.Flatten()
        self.hidden = nn.Linear(8 * 6 * 4, 10)
        self.tanh = nn.Tanh()
        self.fc = nn.Linear(10, 4)

    def forward(self, images: Tensor) -> Tensor:
        """[N, 3, H, W] -> [N, 4]."""
        x = self.avgpool(self.maxpool(self.dilated(self.leaky(self.sided(images)))))
        return self.fc(self.tanh(self.hidden(self.flatten(x))))  # type: ignore[no-any-return]


class Branches(nn.Module):
    """Two branches of different strides and sizes that meet in a concatenation; softmax attention over channels."""

    def __init__(self) -> None:
        super().__init__()
        self.left = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.ELU())
        self.right = nn.Sequential(nn.Conv2d(3, 4, 5, padding=2), nn.Sigmoid())
        self.pool = nn.MaxPool2d(3, 2, ceil_mode=True)
        self.average = nn.AvgPool2d(3, 2, padding=1, count_include_pad=False)
        self.share = nn.Softmax(dim=1)
        self.head = nn.Sequential(nn.Flatten(), nn.Linear(8 * 5 * 4, 4))

    def forward(self, images: Tensor) -> Tensor:
        """[N, 3, H, W] -> [N, 4]."""
        x = torch.cat([self.left(images), self.right(images)], 1)
        return self.head(self.share(self.average(self.pool(x))))  # type: ignore[no-any-return]


class Guide(nn.Module):
    """The worked example: 3x3 raw pixels, a 2x2 kernel of 0..3, no bias."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, 1, 2, bias=False)
        self.flatten = nn.Flatten()
        self.conv.weight.data = torch.arange(4.0).reshape(1, 1, 2, 2)

    def forward(self, images: Tensor) -> Tensor:
        """[N, 1, 3, 3] -> [N, 4]."""
        return self.flatten(self.conv(images))  # type: ignore[no-any-return]


NETS: dict[str, type[nn.Module]] = {"residual": Residual, "mobile": Mobile, "sided": Sided, "branches": Branches}


def build(name: str) -> nn.Module:
    """One of `NETS`, evaluating, with weights and batch norm statistics drawn from a fixed seed."""
    with torch.random.fork_rng():
        torch.manual_seed(7)
        net = NETS[name]()
        for module in net.modules():
            if isinstance(module, nn.BatchNorm2d):
                for values in (module.weight.data, module.get_buffer("running_var")):
                    values.uniform_(0.5, 1.5)
                for values in (module.bias.data, module.get_buffer("running_mean")):
                    values.normal_(0, 0.3)
    return net.eval()


def spec(name: str) -> Spec:
    """What the nets expect: colour pictures of `HEIGHT` x `WIDTH`."""
    preprocess = Preprocess(mean=(0.4, 0.5, 0.6), std=(0.25, 0.3, 0.2))
    return Spec(name, 3, HEIGHT, WIDTH, ("a", "b", "c", "d"), preprocess=preprocess)


def exported(name: str) -> tuple[bytes, Spec]:
    """One of `NETS`, or "guide", as its ONNX file and the spec inside."""
    if name == "guide":
        raw = Preprocess(interpolation="nearest", scale=1.0)
        return export(Guide().eval(), Spec("guide", 1, 3, 3, ("a", "b", "c", "d"), preprocess=raw))
    return export(build(name), spec(name))
