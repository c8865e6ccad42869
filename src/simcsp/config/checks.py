"""What several sections of the settings are held to."""

import re

SEEDS = 2**32  # what scikit-learn and UMAP take


def require(condition: bool, problem: str) -> None:  # noqa: FBT001
    """Raise ValueError, which the parser turns into one sentence, unless the condition holds."""
    if not condition:
        raise ValueError(problem)


def require_folder_name(value: str, name: str) -> None:
    """Raise ValueError unless the value can be the name of a folder."""
    require(
        re.fullmatch(r"\w[\w.-]*", value) is not None,
        f"{name} is a folder name: letters, digits, . _ - and none of . - in front",
    )
