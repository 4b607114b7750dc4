"""The files of a site while they are gathered: no two may have one path."""

from __future__ import annotations

from typing import TYPE_CHECKING

from publisher.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping


class Outputs:
    """Files by path, and who brought each; a path that is taken is an error.

    Letters' case does not tell two paths apart, because it does not in a clone on macOS or Windows. A file cannot be
    where another's folder is.
    """

    def __init__(self, reserved: Iterable[str]) -> None:
        """Begin with no files; the `reserved` paths are made later, by publisher itself."""
        self.files: dict[str, bytes | Callable[[], bytes]] = {}
        self._makers = {path.casefold(): "a file of publisher's own" for path in reserved}
        self._folders: dict[str, str] = {}

    def add(self, files: Mapping[str, bytes | Callable[[], bytes]], maker: str) -> None:
        """Take files, or what makes them; ConfigError names the path and both makers where one is there already."""
        for path, data in files.items():
            key = path.casefold()
            parts = key.split("/")
            above = ["/".join(parts[:depth]) for depth in range(1, len(parts))]
            taken = self._makers.get(key) or self._folders.get(key)
            taken = taken or next((self._makers[folder] for folder in above if folder in self._makers), None)
            if taken:
                raise ConfigError(
                    f"two outputs with one path, /{path}: {taken} and {maker}",
                    hint="rename the one in site/",
                )
            self._makers[key] = maker
            self._folders.update(dict.fromkeys(above, maker))
            self.files[path] = data
