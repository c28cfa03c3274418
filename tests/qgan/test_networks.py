import pytest
import torch
from torch import nn
from torch.nn import functional

from qgan.networks import Critic, Generator, Upsample


@pytest.mark.parametrize(("height", "width"), [(60, 60), (32, 32), (33, 47), (8, 61)])
@pytest.mark.parametrize(("features", "depth"), [(3, 1), (16, 1), (4, 3)])
def test_any_size_in_and_out(height: int, width: int, features: int, depth: int) -> None:
    generator = Generator(7, 5, height, width, features, depth)
    critic = Critic(5, height, width, features, depth)
    images = generator(torch.randn(3, 7))
    assert images.shape == (3, 5, height, width)
    assert images.min() >= 0
    assert images.max() <= 1
    assert critic(images).shape == (3,)


def test_depth_counts_convolutions_at_each_size() -> None:
    def maps(net: nn.Module) -> list[nn.Module]:
        return [each for each in net.modules() if isinstance(each, nn.Conv2d)]

    for depth in (1, 2, 4):
        assert len(maps(Generator(3, 5, 20, 20, 4, depth))) == 2 * depth  # with the two that double the size
        assert len(maps(Critic(5, 20, 20, 4, depth))) == 2 * depth + 1


def test_the_paper_doubles_15_to_30_to_60() -> None:
    generator = Generator(12, 5, 60, 60, 8)
    assert [generator.quarter, *(each.size for each in generator.maps if isinstance(each, Upsample))] == [
        (15, 15),
        (30, 30),
        (60, 60),
    ]


@pytest.mark.parametrize("size", [(14, 10), (13, 9)])
def test_upsampling_is_a_transposed_convolution(size: tuple[int, int]) -> None:
    torch.manual_seed(0)
    upsample = Upsample(3, 4, size).double()
    nn.init.normal_(upsample.phases.weight)
    with torch.no_grad():
        upsample.phases.bias.copy_(torch.randn(4).double().repeat_interleave(4))  # type: ignore[union-attr]
    transposed = nn.ConvTranspose2d(3, 4, kernel_size=4, stride=2, padding=1).double()
    with torch.no_grad():
        phases = upsample.phases.weight.view(4, 2, 2, 3, 2, 2)  # out, row phase, column phase, in, tap, tap
        # an output row 2 k - 1 + phase meets rows k - 1 and k with the kernel's rows 2 + phase and phase
        for a, b, p, q in torch.cartesian_prod(*[torch.arange(2)] * 4).tolist():
            transposed.weight[:, :, 2 - 2 * p + a, 2 - 2 * q + b] = phases[:, a, b, :, p, q].T
        transposed.bias.copy_(upsample.phases.bias[::4])  # type: ignore[union-attr, index]
    x = torch.randn(2, 3, 7, 5).double()
    assert torch.allclose(upsample(x), transposed(x)[..., : size[0], : size[1]])


def test_no_checkerboard_is_built_in() -> None:
    torch.manual_seed(0)
    inner = Upsample(3, 4, (20, 20))(torch.randn(1, 3, 1, 1).expand(1, 3, 10, 10))[..., 2:-2, 2:-2]
    assert torch.allclose(inner, inner[..., :1, :1].expand_as(inner), atol=1e-6)


def test_at_the_start_upsampling_is_that_of_the_nearest_neighbour_and_a_convolution() -> None:
    torch.manual_seed(0)
    upsample = Upsample(3, 2, (12, 12))
    x = torch.randn(4, 3, 6, 6)
    larger = functional.interpolate(x, scale_factor=2)
    # the 3 x 3 kernels, found from the outputs alone: windows of the larger map times kernel = upsample(x)
    windows = functional.unfold(larger, 3, padding=1).permute(0, 2, 1).reshape(-1, 27)
    wanted = (upsample(x) - upsample.phases.bias[::4].view(1, 2, 1, 1)).permute(0, 2, 3, 1).reshape(-1, 2)  # type: ignore[union-attr, index]
    found = torch.linalg.lstsq(windows.detach(), wanted.detach())
    assert torch.allclose(windows @ found.solution, wanted, atol=1e-5)


def test_a_code_is_scored_alone_as_in_a_batch() -> None:
    torch.manual_seed(0)
    generator, critic = Generator(6, 5, 20, 20, 8), Critic(5, 20, 20, 8)
    codes = torch.randint(2, (32, 6)).float()
    together = critic(generator(codes))
    alone = torch.cat([critic(generator(code[None])) for code in codes])
    assert torch.allclose(together, alone, atol=1e-5)
    with torch.no_grad():  # nothing in either net remembers a batch
        assert torch.equal(critic(generator(codes)), critic(generator(codes)))


def test_a_latent_layer_stands_before_the_critics_last() -> None:
    critic = Critic(5, 20, 20, 8, latent=6)
    images = torch.rand(3, 5, 20, 20)
    latent = critic.latent(images)
    assert latent.shape == (3, 6)
    assert torch.equal(critic(images), critic.last(functional.leaky_relu(latent, 0.2)).squeeze(1))


@pytest.mark.parametrize("depth", [1, 3])
@pytest.mark.parametrize("latent", [None, 6])
@pytest.mark.parametrize("classes", [0, 3])
def test_the_tangent_is_the_directional_derivative(depth: int, latent: int | None, classes: int) -> None:
    torch.manual_seed(0)
    critic = Critic(5, 13, 12, 4, depth, latent, classes).double()
    images, direction = torch.rand(6, 5, 13, 12).double(), torch.randn(6, 5, 13, 12).double()
    labels = torch.arange(6) % classes if classes else None
    judged, activations = critic.judged(images, labels)
    expected = torch.func.jvp(lambda x: critic(x, labels), (images,), (direction,))
    assert torch.allclose(judged, expected[0])
    assert torch.allclose(critic.tangent(direction, activations), expected[1])
