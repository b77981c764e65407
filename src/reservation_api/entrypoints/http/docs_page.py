"""The page at /docs: the OpenAPI document as plain HTML; no script, nothing from elsewhere."""

import base64
import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from html import escape
from typing import Any

Json = dict[str, Any]

_STYLE = """\
:root { color-scheme: light dark; --line: #8884; --soft: #8881; --get: #2563eb; --post: #15803d; }
body { font: 16px/1.55 system-ui, sans-serif; max-width: 62rem; margin: 2rem auto; padding: 0 1rem; }
h1 { margin-bottom: 0; }
h2 { margin-top: 2.5rem; border-bottom: 1px solid var(--line); text-transform: capitalize; }
h3, h4 { margin: 1.2rem 0 .4rem; font-size: 1rem; }
details { border: 1px solid var(--line); border-radius: 8px; margin: .5rem 0; padding: .5rem .9rem; }
summary { cursor: pointer; }
summary code { font-weight: 600; }
pre { background: var(--soft); border-radius: 6px; padding: .7rem; overflow-x: auto; font-size: .85rem; }
code { font-size: .9rem; overflow-wrap: anywhere; }
table { border-collapse: collapse; width: 100%; font-size: .92rem; }
th, td { border-top: 1px solid var(--line); padding: .3rem .6rem .3rem 0; text-align: left; }
th, td { vertical-align: top; }
.get, .post { color: white; border-radius: 4px; font: 700 .75rem monospace; padding: .15rem .45rem; }
.get { background: var(--get); }
.post { background: var(--post); }
"""


@dataclass(frozen=True, slots=True)
class Page:
    """A page, and the policy that lets it have its own style and nothing else."""

    html: bytes
    content_security_policy: str


def docs_page(document: bytes) -> Page:
    """Write the page of an OpenAPI document."""
    api: Json = json.loads(document)
    style_digest = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
    policy = (
        f"default-src 'none'; style-src 'sha256-{style_digest}';"
        " base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
    return Page("".join(_page(api)).encode(), policy)


def _page(api: Json) -> Iterable[str]:
    title = escape(api["info"]["title"])
    yield '<!DOCTYPE html><html lang="en"><head><meta charset="utf-8">'
    yield '<meta name="viewport" content="width=device-width, initial-scale=1">'
    yield f"<title>{title}</title><style>{_STYLE}</style></head><body>"
    yield f"<h1>{title}</h1><p>Version {escape(api['info']['version'])} · "
    yield '<a href="/openapi.json">OpenAPI 3.1 document</a></p>'
    yield from (f"<p>{_text(part)}</p>" for part in api["info"]["description"].split("\n\n"))
    for tag in api["tags"]:
        yield f"<h2>{escape(tag['name'])}</h2><p>{_text(tag['description'])}</p>"
        for path, methods in api["paths"].items():
            for method, operation in methods.items():
                if tag["name"] in operation["tags"]:
                    yield from _operation(api, method, path, operation)
    yield "<h2>Schemas</h2>"
    for name, schema in api["components"]["schemas"].items():
        yield from _schema(name, schema)
    yield "</body></html>\n"


def _operation(api: Json, method: str, path: str, operation: Json) -> Iterable[str]:
    yield f'<details id="{escape(operation["operationId"])}"><summary>'
    yield f'<span class="{method}">{method.upper()}</span> <code>{escape(path)}</code> '
    yield f"{_text(operation['summary'])}</summary>"
    if "description" in operation:
        yield f"<p>{_text(operation['description'])}</p>"
    yield f"<p>{_access(operation)}</p>"
    parameters = [_resolved(api, parameter) for parameter in operation.get("parameters", [])]
    if parameters:
        yield "<h4>Parameters</h4>"
        yield from _table(["name", "in", "what"], (_parameter_row(parameter) for parameter in parameters))
    if "requestBody" in operation:
        yield from _media("Body", operation["requestBody"]["content"])
    for status, response_or_reference in operation["responses"].items():
        response = _resolved(api, response_or_reference)
        yield f"<h4>{status} {_text(response['description'])}</h4>"
        if status < "4":
            yield from _media("Answer", response["content"])
    yield f"<h4>Try it</h4><pre>{escape(_curl(method, path, operation, parameters))}</pre></details>"


def _media(title: str, content: Json) -> Iterable[str]:
    for media_type, media in content.items():
        name = media.get("schema", {}).get("$ref", "").rpartition("/")[2]
        link = f' <a href="#schema-{escape(name)}">{escape(name)}</a>' if name else ""
        yield f"<p>{title}: <code>{escape(media_type)}</code>{link}</p>"
        if "example" in media:
            yield f"<pre>{escape(json.dumps(media['example'], indent=2, ensure_ascii=False))}</pre>"


def _schema(name: str, schema: Json) -> Iterable[str]:
    yield f'<details id="schema-{escape(name)}"><summary><code>{escape(name)}</code> '
    yield f"{_text(schema.get('description', ''))}</summary>"
    required = schema.get("required", [])
    rows = (
        [
            f"<code>{escape(field)}</code>",
            "required" if field in required else "optional",
            f"{_type(part)} {_text(_description(part))}",
        ]
        for field, part in schema.get("properties", {}).items()
    )
    yield from _table(["field", "", "what"], rows)
    yield "</details>"


def _parameter_row(parameter: Json) -> list[str]:
    needed = " (required)" if parameter.get("required") else ""
    return [
        f"<code>{escape(parameter['name'])}</code>",
        parameter["in"] + needed,
        f"{_type(parameter['schema'])} {_text(parameter.get('description', ''))}",
    ]


def _table(head: list[str], rows: Iterable[list[str]]) -> Iterable[str]:
    yield "<table><tr>" + "".join(f"<th>{cell}</th>" for cell in head) + "</tr>"
    for row in rows:
        yield "<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>"
    yield "</table>"


def _type(schema: Json) -> str:
    if "$ref" in schema:
        name = escape(schema["$ref"].rpartition("/")[2])
        return f'<a href="#schema-{name}">{name}</a>'
    if "anyOf" in schema:
        return " or ".join(_type(part) for part in schema["anyOf"])
    if "enum" in schema:
        return " | ".join(f"<code>{escape(str(value))}</code>" for value in schema["enum"])
    if schema.get("type") == "array":
        return f"list of {_type(schema['items'])}{_bounds(schema)}"
    return escape(str(schema.get("type", ""))) + _bounds(schema)


def _bounds(schema: Json) -> str:
    names = ("minimum", "maximum", "minItems", "maxItems", "minLength", "maxLength", "pattern", "default")
    found = [f"{name} {escape(str(schema[name]))}" for name in names if schema.get(name) is not None]
    return f" <code>{', '.join(found)}</code>" if found else ""


def _description(schema: Json) -> str:
    parts = [schema, *schema.get("anyOf", [])]
    return next((part["description"] for part in parts if "description" in part), "")


def _access(operation: Json) -> str:
    match operation.get("security"):
        case []:
            return "No token needed."
        case [{"bearer": [scope]}]:
            return f"Needs a token with the scope <code>{escape(scope)}</code>."
        case _:
            return "Needs a token."


def _curl(method: str, path: str, operation: Json, parameters: list[Json]) -> str:
    for parameter in parameters:
        if parameter["in"] == "path":
            path = path.replace("{" + parameter["name"] + "}", parameter["example"])
    lines = [f"curl -i http://localhost:8080{path}"]
    if operation.get("security") != []:
        lines.append('-H "Authorization: Bearer $TOKEN"')
    if method == "post":
        lines.append('-H "Idempotency-Key: $(uuidgen)"')
        example = operation["requestBody"]["content"]["application/json"]["example"]
        lines.append("--json '" + json.dumps(example) + "'")
    return " \\\n  ".join(lines)


def _resolved(api: Json, part: Json) -> Json:
    if "$ref" not in part:
        return part
    found: Json = api
    for name in part["$ref"].removeprefix("#/").split("/"):
        found = found[name]
    return found


def _text(text: str) -> str:
    """Escape a text, and show what stands between backticks as code."""
    pieces = escape(text).split("`")
    return "".join(f"<code>{piece}</code>" if n % 2 else piece for n, piece in enumerate(pieces))
