"""The small file that holds SPSA gains: `study gains` writes it, an arm takes it by name with `gains: FILE`."""

from pathlib import Path
from typing import Any

from qgan.errors import InputError
from study.document import Document


def read_gains(path: Path) -> dict[str, Any]:
    """The mapping a, c, A, alpha, gamma under the key `gains` of a YAML or JSON file; what else it holds is a record.

    Raises InputError where there is no such file, or it holds no gains. The values are checked with the arm's.
    """
    try:
        exists = path.is_file()
    except ValueError:  # a NUL in the name
        exists = False
    if not exists:
        raise InputError(
            f"there is no file {path}; `study gains` writes one; without the key the first update event calibrates them"
        )
    gains = Document(path).values.get("gains")
    if not isinstance(gains, dict):
        raise InputError(f"{path} holds no gains; it needs the key `gains:` with a, c, A, alpha and gamma")
    return gains
