"""The configuration as the user changed it: ``user-config/<same name>`` beside the file, merged into it."""

import copy
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from bsp.yaml_document import Step, YamlDocument
from hil.runtime.wire import Json


def load_with_user_config(path: Path, log: Callable[[str], None]) -> YamlDocument:
    """Read a configuration and the user's changes to it.

    Raises
    ------
    FileError
        One of the files cannot be read.
    """
    file = YamlDocument.load(path)
    user_path = path.parent / "user-config" / path.name
    if not user_path.exists():
        return file
    log(f"{user_path}: changes {path}")
    user = YamlDocument.load(user_path)
    return _Merged(path, file.name, file.root, file.lines, user)


def merge_patch(target: Json, patch: Json) -> Json:
    """Apply a JSON merge patch (RFC 7396): members replace members, null removes them."""
    if not isinstance(patch, dict):
        return copy.deepcopy(patch)
    merged = dict(target) if isinstance(target, dict) else {}
    for key, value in patch.items():
        if value is None:
            merged.pop(key, None)
        else:
            merged[key] = merge_patch(merged.get(key), value)
    return merged


@dataclass(frozen=True)
class _Merged(YamlDocument):
    """A merged file: what the user changed stands in the user's file."""

    user: YamlDocument

    @cached_property
    def data(self) -> Json:
        """Content of both."""
        return merge_patch(super().data, self.user.data)

    def where(self, *steps: Step) -> str:
        """Name the place where a value comes from."""
        return self.user.where(*steps) if self.user.has(*steps) else super().where(*steps)
