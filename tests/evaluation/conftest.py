"""A network for what judges models."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from vec2uage.config.component import Component
from vec2uage.training.model_file import NetworkModel
from vec2uage.training.models import MLP
from vec2uage.training.normalization import Normalization


@pytest.fixture(scope="module")
def save_network() -> Callable[[Path], None]:
    """Save a network whose age is the first of a vector's three numbers."""

    def save(path: Path) -> None:
        network = MLP(3, ())
        with torch.no_grad():
            for parameter in network.parameters():
                parameter.zero_()
            next(network.parameters())[0, 0] = 1.0
        weights = {name: tensor[None] for name, tensor in network.state_dict().items()}
        component = Component("vec2uage.training.models.MLP", (("hidden", ()),))
        NetworkModel(component, weights, 3, Normalization("none"), "facenet").save(path)

    return save
