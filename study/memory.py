"""GPU memory of one trial, from the shapes of its networks and batches; imports no torch."""

from math import ceil

from qgan.settings import ScoreSettings, TrainSettings

CONTEXT = 0.6e9  # bytes that CUDA and its libraries hold in each process, about
_AT_ONCE = 512  # images per forward pass without gradient, as in qgan.wgan
_KEPT = 3  # copies of each feature map while a step goes forward and back, counted on a CPU
_FLOATS = 7.5  # images as numbers during a step: real, generated, between, and their slopes


def peak_bytes(
    train: TrainSettings, score: ScoreSettings, latent_dim: int, images: int, shape: tuple[int, int, int]
) -> float:
    """Peak of what one trial holds on a GPU, bytes: its patches, networks, a step, a score, and CUDA itself.

    `shape` is (channels, height, width). About: kernels choose work space of their own.
    """
    channels, height, width = shape
    pixels = channels * height * width
    held: float = (
        images + 2 * score.images
    ) * pixels + 4 * score.images * pixels  # bytes, and the evaluation batch as float
    held += network_bytes(train, latent_dim, shape)
    scored = 2 * 4 * score.images * pixels + 6 * 4 * score.images**2  # generated images, distances
    full = (score.draws + 4 * _AT_ONCE) * pixels  # the draws of a full score, as bytes
    step = step_bytes(train, shape)
    return CONTEXT + held + max(step, scored + generation_bytes(train, shape), full + generation_bytes(train, shape))


def network_bytes(train: TrainSettings, latent_dim: int, shape: tuple[int, int, int]) -> float:
    """Weights, slopes and Adam's two moments of both nets, and the averaged generator if any."""
    channels, height, width = shape
    f = train.width
    quarter = ceil(height / 4) * ceil(width / 4)
    inputs = latent_dim + train.gaussian_dims + 1
    generator = 4 * f * quarter * inputs + 128 * f**2 + 32 * f * channels + 180 * f**2 * (train.depth - 1)
    flat = 4 * f * (height // 4) * (width // 4)
    latent = flat * latent_dim if train.critic_latent else flat
    critic = 16 * f * channels + 104 * f**2 + latent + 45 * f**2 * (train.depth - 1)
    return 16.0 * (generator + critic) + (4.0 * generator if train.ema else 0.0)


def step_bytes(train: TrainSettings, shape: tuple[int, int, int]) -> float:
    """What one step of both nets holds beside them."""
    generator, critic, deeper = _maps(train, shape)
    channels, height, width = shape
    wide = 2 if train.precision == "bfloat16" else 4
    features = _KEPT * wide * (generator + critic + deeper * (train.depth - 1))
    return train.batch_size * (features + _FLOATS * 4 * channels * height * width)


def generation_bytes(train: TrainSettings, shape: tuple[int, int, int]) -> float:
    """What making images without gradient holds at once."""
    generator, _, _ = _maps(train, shape)
    channels, height, width = shape
    return _AT_ONCE * 4 * (2.4 * generator + channels * height * width)


def _maps(train: TrainSettings, shape: tuple[int, int, int]) -> tuple[float, float, float]:
    """Numbers in the feature maps of one image: generator, critic, and what each unit of depth adds."""
    half = ceil(shape[1] / 2) * ceil(shape[2] / 2)
    quarter = ceil(shape[1] / 4) * ceil(shape[2] / 4)
    f = train.width
    return f * (4 * quarter + 2 * half), f * (half + 6 * quarter), f * (6 * quarter + 3 * half)
