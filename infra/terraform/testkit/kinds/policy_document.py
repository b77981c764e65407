"""The data source `aws_iam_policy_document`: the same JSON as the real one, to the last character."""

import json
import zlib
from typing import Any, Final

from testkit.aws import Aws
from testkit.kind import DataKind
from testkit.values import State

_LATEST: Final = "2012-10-17"


def _render(_aws: Aws, config: State) -> State:
    document: dict[str, Any] = {"Version": "", "Id": "", "Statement": []}
    for text in config["source_policy_documents"] or []:
        _refuse_twins(document["Statement"], _statements(text))
        _merge(document, _parsed(text))
    version = config["version"] or _LATEST
    own = [_statement(statement, version) for statement in config["statement"] or []]
    _refuse_twins([], own)
    _merge(document, {"Version": version, "Id": config["policy_id"] or "", "Statement": own})
    for text in config["override_policy_documents"] or []:
        _merge(document, _parsed(text))
    written = {name: value for name, value in document.items() if value}
    pretty = _as_go(json.dumps(written, indent=2, ensure_ascii=False))
    minified = _as_go(json.dumps(written, separators=(",", ":"), ensure_ascii=False))
    return {
        "json": pretty,
        "minified_json": minified,
        "id": str(zlib.crc32(pretty.encode())),
        "version": version,
        "statement": [{**s, "effect": s["effect"] or "Allow"} for s in config["statement"] or []],
    }


def _as_go(text: str) -> str:
    """Escape what Go's JSON escapes, since browsers might read it."""
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text


def _merge(document: dict[str, Any], other: dict[str, Any]) -> None:
    """Put statements over those of the same Sid, or at the end."""
    document["Id"] = other["Id"] or document["Id"]
    document["Version"] = max(document["Version"], other["Version"])
    for statement in other["Statement"]:
        sid = statement.get("Sid")
        places = [place for place, old in enumerate(document["Statement"]) if sid and old.get("Sid") == sid]
        if places:
            document["Statement"][places[0]] = statement
        else:
            document["Statement"].append(statement)


def _refuse_twins(before: list[State], statements: list[State]) -> None:
    seen = {statement["Sid"] for statement in before if statement.get("Sid")}
    for statement in statements:
        sid = statement.get("Sid")
        if sid and sid in seen:
            raise ValueError(f"duplicate Sid ({sid}). Remove the Sid or ensure Sids are unique.")
        seen.add(sid)


def _statements(text: str) -> list[State]:
    statements: list[State] = _parsed(text)["Statement"]
    return statements


def _parsed(text: str) -> dict[str, Any]:
    """Read a document as the provider does: it sorts principals and takes nothing else apart."""
    document = json.loads(text)
    listed = document.get("Statement") or []
    statements = listed if isinstance(listed, list) else [listed]
    return {
        "Version": document.get("Version", ""),
        "Id": document.get("Id", ""),
        "Statement": [_ordered(statement) for statement in statements],
    }


def _ordered(statement: State) -> State:
    order = (
        "Sid",
        "Effect",
        "Action",
        "NotAction",
        "Resource",
        "NotResource",
        "Principal",
        "NotPrincipal",
        "Condition",
    )
    found = {name: statement[name] for name in order if statement.get(name)}
    for name in ("Principal", "NotPrincipal"):
        if isinstance(found.get(name), dict):
            found[name] = {
                kind: sorted(who, reverse=True) if isinstance(who, list) else who
                for kind, who in sorted(found[name].items())
            }
    if "Condition" in found:
        found["Condition"] = {
            test: {variable: _one_or_many(values) for variable, values in sorted(variables.items())}
            for test, variables in sorted(found["Condition"].items())
        }
    return found


def _one_or_many(values: Any) -> Any:
    if isinstance(values, bool):
        return str(values).lower()
    return values[0] if isinstance(values, list) and len(values) == 1 else values


def _statement(statement: State, version: str) -> State:
    def texts(values: list[str] | None) -> list[str]:
        return [_variables(value, version) for value in values or []]

    written = {
        "Sid": statement["sid"],
        "Effect": statement["effect"] or "Allow",
        "Action": _reversed(statement["actions"]),
        "NotAction": _reversed(statement["not_actions"]),
        "Resource": _reversed(texts(statement["resources"])),
        "NotResource": _reversed(texts(statement["not_resources"])),
        "Principal": _principals(statement["principals"], version),
        "NotPrincipal": _principals(statement["not_principals"], version),
        "Condition": _conditions(statement["condition"], version),
    }
    return {name: value for name, value in written.items() if value}


def _variables(value: str, version: str) -> str:
    """Write `&{aws:username}`, which Terraform leaves alone, as IAM wants it."""
    if "&{" in value and version != _LATEST:
        raise ValueError(f"found &{{ sequence in ({value}), which is not supported in version {version}")
    return value.replace("&{", "${")


def _reversed(values: list[str] | None) -> Any:
    """Return a single value as itself, and sort others backwards, for that is what the provider does."""
    listed = sorted(values or [], reverse=True)
    return listed[0] if len(listed) == 1 else listed


def _principals(principals: list[State] | None, version: str) -> Any:
    if not principals:
        return None
    if len(principals) == 1 and principals[0]["type"] == "*" and principals[0]["identifiers"] == ["*"]:
        return "*"
    by_type: dict[str, Any] = {}
    for principal in principals:
        names = _reversed([_variables(name, version) for name in principal["identifiers"]])
        before = by_type.get(principal["type"])
        if before is None:
            by_type[principal["type"]] = names
        else:
            by_type[principal["type"]] = [*_listed(before), *_listed(names)]
    return dict(sorted(by_type.items()))


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _conditions(conditions: list[State] | None, version: str) -> dict[str, dict[str, Any]]:
    tests: dict[str, dict[str, Any]] = {}
    for condition in conditions or []:
        values = tests.setdefault(condition["test"], {}).setdefault(condition["variable"], [])
        values.extend(_variables(value, version) for value in condition["values"])
    return {
        test: {variable: _one_or_many(values) for variable, values in sorted(variables.items())}
        for test, variables in sorted(tests.items())
    }


DATA_SOURCES: Final = (DataKind("aws_iam_policy_document", _render),)
