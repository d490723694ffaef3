"""Chooses kernel modules with all they depend on, and writes the index files that modprobe reads."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from deployenv.elf import section
from deployenv.failure import BuildFailure


@dataclass(frozen=True, slots=True, kw_only=True)
class Module:
    """A kernel module: its name, its path below /lib/modules/VERSION and what it says of itself."""

    name: str
    path: str
    depends: tuple[str, ...] = ()
    soft: tuple[str, ...] = ()
    aliases: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ModuleCatalogue:
    """All modules of one kernel, and the names and aliases that are built into it."""

    modules: Mapping[str, Module]
    built_in: frozenset[str]

    def closure(self, wanted: Iterable[str]) -> list[Module]:
        """Returns the wanted modules and their dependencies, each after those it depends on.

        What is built into the kernel is left out. An unknown name is an error; an unknown soft dependency is not.
        """
        providers = {alias: module.name for module in self.modules.values() for alias in module.aliases}
        order: dict[str, Module] = {}

        def visit(name: str, chain: tuple[str, ...]) -> None:
            if name in order or name in self.built_in or name in chain:
                return
            module = self.modules.get(name)
            if module is None:
                asker = f" (wanted by {chain[-1]})" if chain else ""
                raise BuildFailure(f"this kernel has no module {name}{asker}; correct the recipe")
            for hint in module.soft:
                provider = normal(hint) if normal(hint) in self.modules else providers.get(hint)
                if provider and hint not in self.built_in:
                    visit(provider, (*chain, name))
            for dependency in module.depends:
                visit(dependency, (*chain, name))
            order[name] = module

        for name in wanted:
            visit(normal(name), ())
        return list(order.values())


def read_catalogue(root: Path) -> ModuleCatalogue:
    """Reads the modules below `root`, the kernel's own /lib/modules/VERSION."""
    modules = {}
    for path in sorted(root.glob("kernel/**/*.ko")):
        module = parse_modinfo(path.relative_to(root).as_posix(), section(path.read_bytes(), ".modinfo"))
        modules[module.name] = module
    built_in = {normal(Path(line).stem) for line in (root / "modules.builtin").read_text().split()}
    for record in (root / "modules.builtin.modinfo").read_bytes().split(b"\0"):
        key, _, value = record.decode(errors="replace").partition("=")
        if key.endswith(".alias"):
            built_in.add(value)
    return ModuleCatalogue(modules=modules, built_in=frozenset(built_in))


def parse_modinfo(path: str, modinfo: bytes) -> Module:
    """Reads a module's .modinfo section: `key=value` records separated by NUL bytes."""
    depends: list[str] = []
    soft: list[str] = []
    aliases: list[str] = []
    for record in modinfo.split(b"\0"):
        key, _, value = record.decode(errors="replace").partition("=")
        if key == "depends":
            depends += [normal(name) for name in value.split(",") if name]
        elif key == "softdep" and value.startswith("pre:"):
            soft += [name for name in value.partition("post:")[0].split()[1:] if name]
        elif key == "alias":
            aliases.append(value)
    return Module(
        name=normal(Path(path).stem),
        path=path,
        depends=tuple(depends),
        soft=tuple(soft),
        aliases=tuple(aliases),
    )


def modules_dep(chosen: Iterable[Module], catalogue: ModuleCatalogue) -> str:
    """Returns modules.dep: a line per module with all it needs, soft needs included, nearest first."""
    lines = []
    for module in chosen:
        before = catalogue.closure([module.name])[:-1]
        lines.append(f"{module.path}: {' '.join(each.path for each in reversed(before))}".rstrip())
    return "\n".join(lines) + "\n"


def modules_alias(chosen: Iterable[Module]) -> str:
    """Returns modules.alias: which of the chosen modules serves a device or a request of the kernel."""
    return "".join(f"alias {alias} {module.name}\n" for module in chosen for alias in sorted(module.aliases))


def normal(name: str) -> str:
    """Returns a module's name as the kernel spells it: with underscores."""
    return name.replace("-", "_")
