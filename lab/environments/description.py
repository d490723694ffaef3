"""The description of an environment, in the `key = value` format that karecordenv reads."""

from dataclasses import dataclass, fields


@dataclass(frozen=True, slots=True, kw_only=True)
class Description:
    """What is recorded of an environment; the fields are the format's keys, in its usual order."""

    name: str
    version: int
    description: str
    author: str
    size: int
    kernelpath: str
    initrdpath: str
    kernelparam: str
    filebase: str
    filesite: str
    fdisktype: str
    filesystem: str
    optsupport: int = 0

    def render(self) -> str:
        """Returns the text of the description file; what is empty is left out."""
        values = {field.name: str(getattr(self, field.name)) for field in fields(self)}
        for key, value in values.items():
            if "\n" in value or value != value.strip():
                raise ValueError(f"{key} cannot be written on one line: {value!r}")
        return "".join(f"{key} = {value}\n" for key, value in values.items() if value)
