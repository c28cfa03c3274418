import pytest
import torch

from qgan.networks import Critic, Generator


@pytest.mark.parametrize(("height", "width"), [(60, 60), (32, 32), (33, 47), (8, 61)])
@pytest.mark.parametrize("features", [3, 16])
def test_any_size_in_and_out(height: int, width: int, features: int) -> None:
    generator, critic = Generator(7, 5, height, width, features), Critic(5, height, width, features)
    images = generator(torch.randint(2, (3, 7)).float())
    assert images.shape == (3, 5, height, width)
    assert images.min() >= 0
    assert images.max() <= 1
    assert critic(images).shape == (3,)


def test_the_paper_doubles_15_to_30_to_60() -> None:
    assert Generator(12, 5, 60, 60, 8).sizes == [(15, 15), (30, 30), (60, 60)]


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
    last = critic.layers[-1]
    assert torch.equal(critic(images), last(torch.nn.functional.leaky_relu(latent, 0.2)).squeeze(1))
