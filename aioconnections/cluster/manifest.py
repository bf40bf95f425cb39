"""The manifest of a run on a cluster: what its inputs and settings are, and which partitions there are.

It is written before the first partition begins, so that a later run can compare its own inputs, and again from time to
time and at the end, with the counts of the partitions that are done. That the part of a partition exists is the only
proof that it is done: workers write a part under another name and rename it.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from attrs import asdict, define, field

from aioconnections.cluster.partitions import InputFile, Partition
from aioconnections.cluster.settings import PartFormat, part_name
from aioconnections.errors import InvalidInputError
from aioconnections.files.dialect import CsvDialect
from aioconnections.files.escaping import escaped
from aioconnections.files.sections import Section, TextForm

__all__ = ["MANIFEST", "Manifest", "width_of"]

MANIFEST = "manifest.json"
_FORMAT = 1
_NARROWEST = 5  # digits in the names of parts


def width_of(partitions: int) -> int:
    """The number of digits in the names of parts, so that they sort in the order of the rows."""
    return max(_NARROWEST, len(str(max(partitions - 1, 0))))


@define
class Manifest:
    """What is known of a run.

    Attributes:
        settings: the settings that the result depends on, by name.
        partitions: the partitions.
        counts: the counts of partitions that are done, as far as they are known, by number.
    """

    settings: dict[str, object]
    partitions: list[Partition]
    counts: dict[int, dict[str, int]] = field(factory=dict[int, dict[str, int]])

    @property
    def files(self) -> list[InputFile]:
        """The input files."""
        return list(dict.fromkeys(partition.file for partition in self.partitions))

    @classmethod
    def read(cls, folder: Path) -> Manifest | None:
        """The manifest in a folder; None if there is none.

        Raises:
            InvalidInputError: it is not valid, or was written by another version.
        """
        path = folder / MANIFEST
        data: Any = None
        try:
            data = json.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return None
        except OSError as error:
            raise InvalidInputError(f"{escaped(str(path))}: {error.strerror}") from None
        except ValueError:
            pass  # refused below
        try:
            if data["manifest"] != _FORMAT:
                raise InvalidInputError(f"{escaped(str(path))} was written by another version; choose another folder")
            return cls._of(data)
        except (KeyError, TypeError, ValueError, IndexError) as error:
            if isinstance(error, InvalidInputError):
                raise
            raise InvalidInputError(
                f"{escaped(str(path))} is not the manifest of a run; choose another folder"
            ) from None

    @classmethod
    def _of(cls, data: Any) -> Manifest:
        inputs: list[tuple[InputFile, TextForm]] = [
            (
                InputFile(file["path"], file["size"], file["modified"]),
                TextForm(file["form"], file["encoding"], tuple(file["columns"]), CsvDialect(**file["dialect"])),
            )
            for file in data["inputs"]
        ]
        found: list[Partition] = []
        counts: dict[int, dict[str, int]] = {}
        for number, partition in enumerate(data["partitions"]):
            place: int = partition["input"]
            file, form = inputs[place]
            found.append(Partition(number, file, form, Section(**partition["section"])))
            if partition["counts"] is not None:
                counts[number] = dict(partition["counts"])
        return cls(dict(data["settings"]), found, counts)

    def write(self, folder: Path, form: PartFormat) -> None:
        """Replace the manifest in a folder.

        Raises:
            OSError: it cannot be written.
        """
        path, width = folder / MANIFEST, width_of(len(self.partitions))
        inputs = dict.fromkeys((partition.file, partition.form) for partition in self.partitions)
        places = {file: at for at, (file, _) in enumerate(inputs)}
        missing = [at.number for at in self.partitions if not (folder / part_name(at.number, width, form)).exists()]
        data = {
            "manifest": _FORMAT,
            "settings": self.settings,
            "inputs": [
                {
                    **asdict(file),
                    "form": text.form,
                    "encoding": text.encoding,
                    "columns": text.columns,
                    "dialect": asdict(text.dialect),
                }
                for file, text in inputs
            ],
            "partitions": [
                {
                    "part": part_name(partition.number, width, form),
                    "input": places[partition.file],
                    "section": asdict(partition.section),
                    "counts": self.counts.get(partition.number),
                }
                for partition in self.partitions
            ],
            "missing": missing,
        }
        temporary = path.with_name(f".{path.name}.tmp")
        with temporary.open("w", encoding="utf-8") as file:
            json.dump(data, file, indent=1)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)

    def refuse_other(self, settings: Mapping[str, object], files: Sequence[InputFile], folder: Path) -> None:
        """Refuse to go on with other settings or inputs.

        Raises:
            InvalidInputError: something differs.
        """
        problems = [
            f"{name} was {_shown(self.settings.get(name))} and is now {_shown(value)}"
            for name, value in settings.items()
            if self.settings.get(name) != value
        ]
        before, now = ({file.path: file for file in given} for given in (self.files, files))
        problems += [f"{escaped(path)} was an input and is none now" for path in before if path not in now]
        problems += [f"{escaped(path)} was no input and is one now" for path in now if path not in before]
        problems += [f"{escaped(path)} has changed" for path in now if path in before and before[path] != now[path]]
        if not problems and [*before] != [*now]:
            problems = ["the files are given in another order"]
        if problems:
            raise InvalidInputError(
                f"{escaped(str(folder))} has the results of another run: {'; '.join(problems[:3])}; "
                "choose another folder"
            )


def _shown(value: object) -> str:
    return escaped(json.dumps(value, ensure_ascii=False))
