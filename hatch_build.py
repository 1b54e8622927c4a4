"""The wheel holds the help pages, and of all pictures in docs/screens those that the pages show."""

import re
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

_PICTURE = re.compile(r"\]\(\.\./(screens/[\w.-]+\.png)\)")


class ShownPictures(BuildHookInterface[Any]):
    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        docs = Path(self.root) / "docs"
        pages = [path.read_text("utf-8") for folder in ("help", "sysadmin") for path in (docs / folder).glob("*.md")]
        for shown in {picture for page in pages for picture in _PICTURE.findall(page)}:
            for picture in {shown, shown.replace("-1280", "-390")}:
                if (docs / picture).is_file():
                    build_data["force_include"][str(docs / picture)] = f"portal/docs/{picture}"
