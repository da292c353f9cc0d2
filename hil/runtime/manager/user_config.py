"""The configuration as the user changed it: ``user-config/<same name>`` beside the file, merged into it."""

import copy
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from hil.runtime.manager.yaml_file import Key, YamlFile
from hil.runtime.wire import Json


def load_with_user_config(path: Path, log: Callable[[str], None]) -> YamlFile:
    """Read a configuration and the user's changes to it.

    Raises
    ------
    YamlError
        One of the files cannot be read.
    """
    file = YamlFile.load(path)
    user_path = path.parent / "user-config" / path.name
    if not user_path.exists():
        return file
    log(f"{user_path}: changes {path}")
    user = YamlFile.load(user_path)
    return _Merged(path, merge_patch(file.data, user.data), file.lines, user)


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
class _Merged(YamlFile):
    """A merged file: what the user changed stands in the user's file."""

    user: YamlFile

    def where(self, *keys: Key) -> str:
        return self.user.where(*keys) if keys in self.user.lines else super().where(*keys)
