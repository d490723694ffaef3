"""An environment as Kadeploy 3 described it, in YAML. docs/environments.md describes every key."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from kadeploy.inventory.v1 import environment_pb2
from kadeploy_cli.descriptions import environment_yaml_30, yaml_text
from kadeploy_cli.descriptions.environment_file import (
    LINUX_TYPE,
    MAXIMUM_MEBIBYTES,
    MAXIMUM_VERSION,
    MEBIBYTE,
    VISIBILITIES,
)
from kadeploy_cli.descriptions.environment_parts import (
    BOOT_KEYS,
    SEVERAL,
    DescribedArchive,
    read_archive,
    read_boot,
    read_image,
)
from kadeploy_cli.descriptions.environment_words import SYSTEMS
from kadeploy_cli.descriptions.problem_list import ProblemList
from kadeploy_cli.descriptions.yaml_text import Place
from kadeploy_cli.environments.image_files import Kind, kind_by_suffix

KEYS = (
    "name",
    "alias",
    "arch",
    "version",
    "description",
    "author",
    "visibility",
    "destructive",
    "os",
    "image",
    "preinstall",
    "postinstalls",
    "boot",
    "filesystem",
    "partition_type",
    "multipart",
    "custom_variables",
    "options",
    # Words that Kadeploy 3 had no key for.
    "user",
    "cluster",
    "size",
    "size_bytes",
    "optsupport",
)
WHOLE_DISK = 0
"""The partition type of images that bring the table of a whole disk."""
MAXIMUM_POSTINSTALLS = 16

ReadImage = Callable[[str, Path, Kind | None], environment_pb2.Image]
ReadArchive = Callable[[str, Path, str, "environment_pb2.Compression.ValueType | None"], environment_pb2.ScriptArchive]
Note = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Files:
    """How the files of a description are read.

    Attributes:
        directory: what relative paths are relative to.
        read_image: takes digest and size of the image.
        read_archive: the same for archives of scripts.
        note: is given sentences on what was read and is not used.
    """

    directory: Path
    read_image: ReadImage
    read_archive: ReadArchive
    note: Note


def parse(text: str, source: str, overrides: Mapping[str, str], files: Files) -> environment_pb2.Environment:
    """Reads a description; everything is checked before the first file is read.

    Args:
        text: the file's content.
        source: how errors call it.
        overrides: values of options, which win over the file: name, version, visibility, and filebase for the image.
        files: reads what it names.

    Raises:
        UsageFailure: names each line that cannot be accepted.
    """
    root = yaml_text.parse(text, source)
    if not root.is_mapping:
        raise root.failure("a mapping (key: value) is expected")
    if environment_yaml_30.is_of_version_30(root):
        root = environment_yaml_30.translated(root)
    return _Description(root, overrides, files).environment()


class _Description:
    def __init__(self, root: Place, overrides: Mapping[str, str], files: Files) -> None:
        self._root = root
        self._overrides = overrides
        self._files = files
        self._problems = ProblemList()
        self._fields = root.fields(KEYS, self._problems)
        self._whole_disk = False

    def environment(self) -> environment_pb2.Environment:
        """Returns what is described, or raises UsageFailure."""
        for needed, option in (("name", "name"), ("os", ""), ("image", "filebase")):
            if needed not in self._fields and option not in self._overrides:
                self._problems.add(self._root.failure(f"{needed} is missing"))
        environment = self._plain_fields()
        self._override(environment)
        image, kind = self._image()
        environment.image.whole_disk = self._whole_disk
        if kind is not None:
            environment.image.kind = kind[0]
            self._boot(environment)
            self._check_file_system(environment)
        self._options(environment)
        before = [read_archive(self._fields["preinstall"], self._problems)] if self._has("preinstall") else []
        after = self._postinstalls()
        self._problems.raise_found()
        self._read_files(environment, image, kind, before, after)
        return environment

    def _plain_fields(self) -> environment_pb2.Environment:
        fields, take = self._fields, self._problems.take
        type_id = LINUX_TYPE
        if "partition_type" in fields:
            type_id = take(lambda: fields["partition_type"].number(WHOLE_DISK, 0xFF), LINUX_TYPE)
        self._whole_disk = type_id == WHOLE_DISK
        environment = environment_pb2.Environment(
            name=self._text("name"),
            alias=self._text("alias"),
            architecture=self._text("arch"),
            version=take(lambda: fields["version"].number(1, MAXIMUM_VERSION), 1) if "version" in fields else 1,
            owner=self._text("user"),
            description=self._text("description"),
            author=self._text("author"),
            visibility=VISIBILITIES[self._choice("visibility", tuple(VISIBILITIES), "private")],
            operating_system=SYSTEMS[self._choice("os", tuple(SYSTEMS), "linux")],
            destructive=self._boolean("destructive", default=False),
            file_system=self._text("filesystem"),
            partition_type_id=type_id or LINUX_TYPE,
            required_size_bytes=self._size(),
            options=self._text("optsupport"),
            cluster=self._text("cluster"),
        )
        if self._has("custom_variables"):
            for key, value in fields["custom_variables"].entries(self._problems):
                environment.custom_variables[key] = take(value.text, "")
        if self._boolean("multipart", default=False):
            self._problems.add(fields["multipart"].failure(SEVERAL))
        return environment

    def _options(self, environment: environment_pb2.Environment) -> None:
        if not self._has("options"):
            return
        for key, value in self._fields["options"].entries(self._problems):
            if key == "kexec":
                environment.boot.kexec_refused = not self._problems.take(value.boolean, True)
            elif key == "trust_previous_env":
                environment.running_system_refused = not self._problems.take(value.boolean, True)
            elif key == "partitions":
                self._problems.add(value.failure(SEVERAL))
            else:
                self._files.note(
                    f"{value.source}, line {value.line}: {value.path} is not used: no such option is known"
                )

    def _image(self) -> tuple[str, Kind | None]:
        """Returns the image's file and what it is. An option counts; what the description says is checked too."""
        described: tuple[str, Kind | None] = ("", None)
        if "image" in self._fields:
            described = read_image(self._fields["image"], self._problems)
        if "filebase" not in self._overrides:
            return described
        name = self._overrides["filebase"]
        return name, self._problems.take(lambda: kind_by_suffix(name), None)

    def _boot(self, environment: environment_pb2.Environment) -> None:
        given = self._has("boot")
        fields = self._fields["boot"].fields(BOOT_KEYS, self._problems) if given else {}
        place = self._fields["boot"] if given else self._root
        boot = read_boot(place, fields, environment.image, environment.operating_system, self._problems)
        environment.boot.CopyFrom(boot)

    def _check_file_system(self, environment: environment_pb2.Environment) -> None:
        if environment.image.kind != environment_pb2.IMAGE_KIND_TAR:
            return
        if not environment.file_system:
            text = "filesystem is missing: a tar image is unpacked into a fresh one, such as ext4"
            self._problems.add(self._root.failure(text))
        if self._whole_disk:
            text = "0 is for raw images (dd) of a whole disk: a tar image is unpacked into one partition"
            self._problems.add(self._fields["partition_type"].failure(text))

    def _postinstalls(self) -> list[DescribedArchive]:
        if not self._has("postinstalls"):
            return []
        none: list[Place] = []
        places = self._problems.take(self._fields["postinstalls"].items, none)
        if len(places) > MAXIMUM_POSTINSTALLS:
            self._problems.add(self._fields["postinstalls"].failure(f"there are at most {MAXIMUM_POSTINSTALLS}"))
        return [read_archive(place, self._problems) for place in places]

    def _read_files(
        self,
        environment: environment_pb2.Environment,
        image: str,
        kind: Kind | None,
        before: list[DescribedArchive],
        after: list[DescribedArchive],
    ) -> None:
        files, problems = self._files, ProblemList()
        read = problems.take(lambda: files.read_image(image, files.directory, kind), environment_pb2.Image())
        read.whole_disk = self._whole_disk
        environment.image.CopyFrom(read)
        empty = environment_pb2.ScriptArchive()
        archives = [problems.take(partial(self._archive, described), empty) for described in (*before, *after)]
        problems.raise_found()
        if before:
            environment.preinstall.CopyFrom(archives.pop(0))
        environment.postinstalls.extend(archives)

    def _archive(self, described: DescribedArchive) -> environment_pb2.ScriptArchive:
        files = self._files
        archive = files.read_archive(described.file, files.directory, described.script, described.compression)
        archive.script_arguments.extend(described.arguments)
        return archive

    def _override(self, environment: environment_pb2.Environment) -> None:
        """Puts in what options say; they were checked where they were typed."""
        overrides = self._overrides
        if "name" in overrides:
            environment.name = overrides["name"]
        if "version" in overrides:
            environment.version = int(overrides["version"])
        if "visibility" in overrides:
            environment.visibility = VISIBILITIES[overrides["visibility"]]

    def _has(self, key: str) -> bool:
        return key in self._fields and not self._fields[key].is_empty

    def _text(self, key: str) -> str:
        return self._problems.take(self._fields[key].text, "") if key in self._fields else ""

    def _choice(self, key: str, words: tuple[str, ...], default: str) -> str:
        if key not in self._fields:
            return default
        return self._problems.take(lambda: self._fields[key].choice(words), default)

    def _boolean(self, key: str, *, default: bool) -> bool:
        return self._problems.take(self._fields[key].boolean, default) if key in self._fields else default

    def _size(self) -> int:
        fields, take = self._fields, self._problems.take
        if "size" in fields:
            return take(lambda: fields["size"].number(0, MAXIMUM_MEBIBYTES), 0) * MEBIBYTE
        if "size_bytes" in fields:
            return take(lambda: fields["size_bytes"].number(0, MAXIMUM_MEBIBYTES * MEBIBYTE), 0)
        return 0
