"""Several files of patches as one: ferrite and bainite together, for conditional models and classifiers."""

from collections.abc import Mapping

import numpy as np

from qgan.ebsd.patches import STEP_RATIO
from qgan.ebsd.patchset import Patches, assemble
from qgan.errors import InputError


def joined(files: Mapping[str, Patches]) -> Patches:
    """The patches of all files, in their order, maps renumbered; the names are for errors.

    Raises InputError where sizes, channels or steps differ, or two files hold the same patches.
    """
    (first, one), *others = files.items()
    hashes = {one.footer.content_hash: first}
    for name, other in others:
        a, b = one.footer, other.footer
        same = hashes.setdefault(b.content_hash, name)
        if same != name:
            raise InputError(f"{name}: holds the same patches as {same}; name each once")
        if (a.height, a.width, a.channels) != (b.height, b.width, b.channels):
            raise InputError(
                f"{name}: {b.height} x {b.width} of {len(b.channels)} channels, {first}: {a.height} x {a.width} of "
                f"{len(a.channels)}; only patches of one size and one scaling of their channels fit one file"
            )
        steps = sorted([a.step_um, b.step_um])
        if steps[1] > STEP_RATIO * steps[0]:
            raise InputError(
                f"{name}: steps of {b.step_um:g} um, {first}: {a.step_um:g} um; KAM depends on the step, so more than "
                f"{STEP_RATIO:g} times is refused"
            )
    parts = list(files.values())
    maps = np.cumsum([0, *(len(each.footer.cleaning) for each in parts)])
    names = ("microstructure", "source", "grain_id", "row", "column", "step_um")
    columns = {name: np.concatenate([getattr(each.index, name) for each in parts]) for name in names}
    columns["map_id"] = np.concatenate([each.index.map_id + start for each, start in zip(parts, maps, strict=False)])
    settings = [each.footer.settings for each in parts]
    recipes = [each.footer.recipe for each in parts]
    return assemble(
        np.concatenate([each.images for each in parts]),
        columns,
        settings=settings[0] if all(each == settings[0] for each in settings) else {"joined": settings},
        cleaning=tuple(record for each in parts for record in each.footer.cleaning),
        recipe=None if None in recipes else " + ".join(str(each) for each in recipes),
    )
