"""Which patches a study uses: their identity in a trial's key, and the file that holds them."""

import os
from collections.abc import Callable
from pathlib import Path

from study.sections import SyntheticSource
from study.spec import Study
from study.storage import storage_of


def identity(study: Study) -> str:
    """What names the patches in every trial's key: the recipe of a synthetic set, else the file's content hash."""
    from qgan.ebsd import dataset, synthetic

    source = study.source
    if isinstance(source, SyntheticSource):
        return synthetic.recipe(source.microstructure, source.count, source.seed, source.patch)
    with study.document.locating("data", key="source"):
        return dataset.read_footer(file(study)).content_hash


def pool_size(study: Study) -> int:
    """Patches left for training after the evaluation patches (and, cut from one map, their neighbours) are taken.

    For a synthetic set that does not exist yet: at most this many.
    """
    from qgan.ebsd import dataset

    source, path = study.source, file(study)
    if isinstance(source, SyntheticSource) and not _made(study):
        return source.count - source.evaluation
    with study.document.locating("data", key="evaluation"):
        training, _ = dataset.split(dataset.read_index(path), source.evaluation, source.microstructure)
    return len(training)


def require_enough(study: Study) -> None:
    """Raises InputError where fewer patches are left for training than the largest cell asks for."""
    pool, most = pool_size(study), max(cell.images for cell in study.cells)
    if most > pool:
        raise study.document.error(
            ("grid", "images"),
            f"{most} training images are more than the data holds: after {study.source.evaluation} evaluation patches "
            f"(from other maps) {pool} are left; lower grid.images or data.evaluation, or add data",
        )


def shape(study: Study) -> tuple[int, int, int]:
    """(channels, height, width) of a patch."""
    from qgan.ebsd import dataset

    source = study.source
    if isinstance(source, SyntheticSource):
        return 5, source.patch, source.patch
    with study.document.locating("data", key="source"):
        footer = dataset.read_footer(file(study))
    return len(footer.channels), footer.height, footer.width


def file(study: Study) -> Path | str:
    """The Parquet file of the study's patches, or its URI; a synthetic set lies beside the studies that share it."""
    from qgan.ebsd import dataset

    source = study.source
    if isinstance(source, SyntheticSource):
        place = (study.results / "data" / _name(study)).absolute()
        return place if isinstance(place, Path) else str(place)
    return source.source if dataset.is_uri(source.source) else Path(os.path.expanduser(source.source)).absolute()


def _name(study: Study) -> str:
    return identity(study).replace(" ", "-").replace("=", "") + ".parquet"


def _made(study: Study) -> bool:
    return storage_of(study.results / "data").exists(_name(study))


def prepare(study: Study, say: Callable[[str], None]) -> Path | str:
    """The file of the study's patches, a synthetic set made if it is missing.

    Raises InputError where the set, once it is made, cannot serve the largest cell.
    """
    from qgan.ebsd import dataset, synthetic

    source, path = study.source, file(study)
    if isinstance(source, SyntheticSource) and not _made(study):
        say(f"cutting {source.count} {source.microstructure} patches from synthetic maps ...")
        if isinstance(path, Path):
            path.parent.mkdir(parents=True, exist_ok=True)
        patches = synthetic.generate(source.microstructure, source.count, source.seed, source.patch, processes=2)
        dataset.write_patches(path, patches)
        say(f"patches: {path}")
        require_enough(study)  # whole maps are withheld, which nobody could count before
    return path
