"""The AWS provider's schema, read back out of the bindings that were generated from it.

The wheel `cdktn-provider-aws` holds JavaScript and its declarations, generated from the output of `terraform
providers schema -json`. Each attribute carries a comment with its flags; types stand in a resource's
`synthesizeHclAttributes`, in functions `…ToHclTerraform`, or in the getter's call. What is not in there:
defaults, what forces a new resource, which values are sensitive.
"""

import re
import tarfile
import zipfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final

from testkit.schema import PROVIDER

_FLAGS: Final = re.compile(
    r"^    // (\S+) - computed: (true|false), optional: (true|false), required: (true|false)\n"
    r"(.*?)(?=^    // \S+ - computed:|^    // =====|^\}|\Z)",
    re.DOTALL | re.MULTILINE,
)
_HCL: Final = re.compile(
    r"^ {8,12}([a-zA-Z0-9_]+): \{\n\s+value: .*?,\n\s+isBlock: (true|false),\n"
    r'\s+type: "(\w+)",\n\s+storageClassType: "(\w+)",\n',
    re.DOTALL | re.MULTILINE,
)
_CLASS: Final = re.compile(r"^class (\w+) extends (cdktn\.\w+) \{(.*?)^\}", re.DOTALL | re.MULTILINE)
_FUNCTION: Final = re.compile(r"^function (\w+)ToHclTerraform\(struct\) \{(.*?)^\}", re.DOTALL | re.MULTILINE)
_INTERFACE: Final = re.compile(r"export interface (\w+)[^{]*\{(.*?)^\}", re.DOTALL | re.MULTILINE)
_CHILD: Final = re.compile(r'= new (?:index_\d\.)?(\w+)\(this, "[^"]+"(?:, (true|false))?\)')
_GETTER: Final = re.compile(
    r"(cdktn\.Fn\.tolist\()?this\.get"
    r"(String|Number|Boolean|List|NumberList|StringMap|BooleanMap|NumberMap|AnyMap)Attribute\("
)
_COLLECTION: Final = re.compile(r'new cdktn\.(\w+?)(List|Map)?\(this, "[^"]+"(?:, (true|false))?')
_STORAGE: Final = re.compile(r"(string|number|boolean|any)((?:List|Map|Set)*)")
_PRIMITIVES: Final = {"string": "string", "number": "number", "boolean": "bool", "any": "dynamic"}
_GETTER_TYPES: Final[dict[str, Any]] = {
    "String": "string",
    "Number": "number",
    "Boolean": "bool",
    "List": ["list", "string"],
    "NumberList": ["list", "number"],
    "StringMap": ["map", "string"],
    "BooleanMap": ["map", "bool"],
    "NumberMap": ["map", "number"],
    "AnyMap": ["map", "dynamic"],
}


class UnreadableError(Exception):
    """The bindings are not written as this module knows them."""


def schema_of(wheel: Path, wanted: Iterable[str]) -> dict[str, Any]:
    """Return the schema of these resources and (`data.…`) data sources as Terraform would print it."""
    names = set(wanted)
    provider: dict[str, Any] = {}
    resources: dict[str, Any] = {}
    data_sources: dict[str, Any] = {}
    for script, declarations in _modules(wheel, {_folder(name) for name in names} | {"provider"}):
        module = _Module(script, declarations)
        if module.base == "cdktn.TerraformProvider":
            provider = {"version": 0, "block": _of_a_provider(module.block())}
        elif module.base == "cdktn.TerraformDataSource":
            data_sources[module.type] = {"version": 0, "block": module.block()}
        else:
            resources[module.type] = {"version": 0, "block": module.block()}
    missing = names - resources.keys() - {f"data.{name}" for name in data_sources}
    if missing:
        raise UnreadableError(f"no such types in {wheel.name}: {sorted(missing)}")
    schemas = {"provider": provider, "resource_schemas": resources, "data_source_schemas": data_sources}
    return {"provider_version": _version(wheel), "provider_schemas": {PROVIDER: schemas}}


def _folder(name: str) -> str:
    """`aws_sqs_queue` is in sqs-queue, `data.aws_region` in data-aws-region."""
    return name.replace("data.", "data-").removeprefix("aws_").replace("_", "-")


def _version(wheel: Path) -> str:
    with zipfile.ZipFile(wheel) as archive:
        metadata = next(name for name in archive.namelist() if name.endswith("METADATA"))
        found = re.search(r"provider version (\d\S+)", archive.read(metadata).decode())
    if found is None:
        raise UnreadableError(f"{wheel.name} does not say which provider it is of")
    return found[1]


def _modules(wheel: Path, folders: set[str]) -> Iterator[tuple[str, str]]:
    """Yield the JavaScript and the declarations of each folder."""
    scripts: dict[str, str] = {}
    declarations: dict[str, str] = {}
    with zipfile.ZipFile(wheel) as archive:
        inner = next(name for name in archive.namelist() if name.endswith(".jsii.tgz"))
        with archive.open(inner) as file, tarfile.open(fileobj=file, mode="r|gz") as files:
            for member in files:
                parts = member.name.split("/")
                if len(parts) < 4 or parts[1] != "lib" or parts[2] not in folders:  # noqa: PLR2004 (package/lib/x/file)
                    continue
                kept = declarations if parts[-1].endswith(".d.ts") else scripts
                if parts[-1].endswith((".d.ts", ".js")):
                    text = files.extractfile(member)
                    kept[parts[2]] = kept.get(parts[2], "") + (text.read().decode() if text else "")
    for folder, script in scripts.items():
        yield script, declarations.get(folder, "")


def _of_a_provider(block: dict[str, Any]) -> dict[str, Any]:
    for attribute in block["attributes"].values():
        attribute.pop("computed", None)
    del block["attributes"]["alias"]  # Terraform's own
    return block


def _stored(storage: str, outer: str) -> Any:
    """Read `stringListMap`, of which the outermost is really a set, say: ["set", ["list", "string"]]."""
    found = _STORAGE.fullmatch(storage)
    if found is None:
        return None
    cty: Any = _PRIMITIVES[found[1]]
    kinds = [kind.lower() for kind in re.findall("List|Map|Set", found[2])]
    if kinds and outer in {"list", "set", "map"}:
        kinds[-1] = outer
    for kind in kinds:
        cty = [kind, cty]
    return cty


def _object_type(block: dict[str, Any]) -> Any:
    """Return the type of an attribute that holds objects, from the block that the bindings make of it."""
    members = {name: attribute["type"] for name, attribute in block.get("attributes", {}).items()}
    for name, nested in block.get("block_types", {}).items():
        inner = _object_type(nested["block"])
        members[name] = inner if nested["nesting_mode"] == "single" else [nested["nesting_mode"], inner]
    return ["object", members]


def _lower(name: str) -> str:
    return name[0].lower() + name[1:]


class _Module:
    """One generated resource, data source or provider."""

    def __init__(self, script: str, declarations: str) -> None:
        self._declarations = declarations
        self._classes = {found[1]: (found[2], found[3]) for found in _CLASS.finditer(script)}
        self._hcl = {
            found[1]: {h[0]: h[1:] for h in _HCL.findall(found[2])} for found in _FUNCTION.finditer(script)
        }
        self._blocks = {
            found[1]: set(re.findall(r"\* (\w+) block\n", found[2]))
            for found in _INTERFACE.finditer(declarations)
        }
        self._main = next(n for n, (_, body) in self._classes.items() if "synthesizeHclAttributes()" in body)
        self.base = self._classes[self._main][0]
        found = re.search(r'static tfResourceType = "(\w+)"', script)
        self.type = found[1] if found else ""

    def block(self, name: str | None = None) -> dict[str, Any]:
        """Return the block of a class, by default of the whole resource."""
        body = self._classes[name or self._main][1]
        if name is None:
            written = body[body.index("synthesizeHclAttributes()") :]
            hcl, interface = {h[0]: h[1:] for h in _HCL.findall(written)}, self._main + "Config"
        else:
            interface = name.removesuffix("OutputReference")
            hcl = self._hcl.get(_lower(interface), {})
        block: dict[str, Any] = {"attributes": {}, "block_types": {}}
        for found in _FLAGS.finditer(body):
            flags = zip(("computed", "optional", "required"), found.group(2, 3, 4), strict=True)
            set_flags = {flag: True for flag, text in flags if text == "true"}
            is_block = found[1] in self._blocks.get(interface, ())
            self._member(block, found, (hcl.get(found[1]), is_block), set_flags)
        return block

    def _member(self, block: dict[str, Any], found: re.Match[str], how: Any, flags: dict[str, bool]) -> None:
        """Add one attribute or nested block."""
        name, code = found[1], found[5]
        hcl, is_block = how
        child = _CHILD.search(code)
        if child and child[1] in self._classes:
            nesting, inner, many = self._nested(child, hcl)
            if is_block:
                limits = {"max_items": 1} if not many and nesting in {"list", "set"} else {}
                limits |= {"min_items": 1} if "required" in flags else {}
                block["block_types"][name] = {"nesting_mode": nesting, "block": inner, **limits}
                return
            cty = _object_type(inner)
            cty = cty if nesting == "single" else [nesting, cty]
        elif hcl and _stored(hcl[2], hcl[1]) is not None:
            cty = _stored(hcl[2], hcl[1])
        elif hcl and hcl[0] == "true" and is_block:  # a provider's blocks have no classes of their own
            inner = self._of_an_interface(hcl[2].removesuffix("List"))
            block["block_types"][name] = {"nesting_mode": hcl[1], "block": inner}
            return
        else:
            cty = self._type_of_a_getter(name, code)
        block["attributes"][name] = {"type": cty, **flags}

    def _nested(self, child: re.Match[str], hcl: Any) -> tuple[str, dict[str, Any], bool]:
        """Return how a child class is nested, its block, and whether there may be many."""
        name, base = child[1], self._classes[child[1]][0]
        many = base in {"cdktn.ComplexList", "cdktn.MapList", "cdktn.ComplexMap"}
        element = re.sub(r"(List|Map)$", "OutputReference", name) if many else name
        if element not in self._classes:
            element = name + "OutputReference"
        if not many:
            nesting = {"struct": "single"}.get(hcl[1], hcl[1]) if hcl else "single"
        elif base == "cdktn.ComplexList":
            nesting = "set" if child[2] == "true" else "list"
        else:
            nesting = "map"
        return nesting, self.block(element), many

    def _type_of_a_getter(self, name: str, code: str) -> Any:
        getter, collection = _GETTER.search(code), _COLLECTION.search(code)
        if getter:
            cty = _GETTER_TYPES[getter[2]]
            return ["set", cty[1]] if getter[1] and isinstance(cty, list) else cty
        if collection:
            outer = "map" if collection[2] == "Map" else "list"
            cty = _stored(collection[1].lower() + (collection[2] or ""), outer)
            if cty is None:
                inner = ["map", "string"] if collection[1] == "StringMap" else ["list", "string"]
                cty = ["list" if collection[1] == "StringMap" else "map", inner]
            return ["set", cty[1]] if collection[3] == "true" and cty[0] == "list" else cty
        if "interpolationForAttribute" in code or "getAnyMapAttribute" in code:
            return "dynamic"
        raise UnreadableError(f"{self.type}.{name}: no type in {code[:200]!r}")

    def _of_an_interface(self, name: str) -> dict[str, Any]:
        """Return a nested block of a provider, which stands in its HCL function and declarations alone."""
        found = next(found for found in _INTERFACE.finditer(self._declarations) if found[1] == name)
        members = re.findall(r"registry\.terraform\.io/\S+#(\w+) .*?readonly \w+(\??):", found[2], re.DOTALL)
        optional = dict(members)
        block: dict[str, Any] = {"attributes": {}, "block_types": {}}
        for attribute, (is_block, nesting, storage) in self._hcl[_lower(name)].items():
            if is_block == "true":
                inner = self._of_an_interface(storage.removesuffix("List"))
                block["block_types"][attribute] = {"nesting_mode": nesting, "block": inner}
            else:
                flag = "optional" if optional.get(attribute, "?") else "required"
                block["attributes"][attribute] = {"type": _stored(storage, nesting), flag: True}
        return block
