"""The commands that operators copy from the documents, in a hurry, are commands that there are."""

import re
import shlex
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import botocore.loaders
import click
import pytest
from botocore import xform_name
from botocore.model import ServiceModel
from botocore.waiter import WaiterModel

from reservation_api.entrypoints.cli import main

ROOT: Final = Path(__file__).parents[2]
TERRAFORM: Final = ROOT / "infra/terraform"
PAGES: Final = [*sorted((ROOT / "docs/runbooks").glob("*.md")), TERRAFORM / "README.md"]
TOOLS: Final = {"aws", "reservation-api", "terraform"}
ENDS: Final = {";", "&&", "|", "||", "&", ">"}
OF_THE_CLI: Final = {"--region", "--query", "--output"}
"""What every command of `aws` takes."""


def commands_of(text: str) -> Iterator[tuple[str, ...]]:
    """Yield each command of our tools in blocks of code, inside of others too."""
    blocks = "\n".join(re.findall(r"(?m)^ {4,}(.*(?:\\\n.*)*)$", text))
    for line in re.sub(r"\\\n\s*", " ", blocks).splitlines():
        yield from _commands_in(line)


def _commands_in(line: str) -> Iterator[tuple[str, ...]]:
    while inner := re.search(r"\$\(([^()]*)\)", line):
        yield from _commands_in(inner[1])
        line = line.replace(inner[0], "found")
    if not any(re.search(rf"(^|\s){tool}\s", line) for tool in TOOLS):
        return
    words = shlex.shlex(line, posix=True, punctuation_chars=True)
    words.whitespace_split = True
    words.commenters = "#"
    command: list[str] = []
    for word in [*words, ";"]:
        if word in ENDS:
            if command:
                yield tuple(command)
            command = []
        elif command or word in TOOLS:
            command.append(word)


COMMANDS: Final = sorted({command for page in PAGES for command in commands_of(page.read_text())})


def fault_of(command: Sequence[str]) -> str | None:
    """Say what is wrong with a command; None: nothing."""
    tool, *arguments = command
    match tool:
        case "aws":
            return _fault_of_aws(*arguments)
        case "reservation-api":
            return _fault_of_ours(main, arguments)
        case _:
            return _fault_of_terraform(*arguments)


def _fault_of_ours(command: click.Command, arguments: list[str]) -> str | None:
    """Parse it as click would, and run nothing."""
    try:
        if not isinstance(command, click.Group):
            command.make_context(command.name, arguments)
            return None
        name, inner, rest = command.resolve_command(click.Context(command), arguments)
    except click.ClickException as error:
        return error.format_message()
    return f"no command {name}" if inner is None else _fault_of_ours(inner, rest)


def _fault_of_aws(service: str, operation: str, *arguments: str) -> str | None:
    loader = botocore.loaders.Loader()
    if service not in loader.list_available_services("service-2"):
        return f"no service {service}"
    model = ServiceModel(loader.load_service_model(service, "service-2"))
    operations = {xform_name(name, "-"): name for name in model.operation_names}
    options = list(arguments)
    if operation == "wait":
        waiters = WaiterModel(loader.load_service_model(service, "waiters-2"))
        of = {xform_name(name, "-"): waiters.get_waiter(name).operation for name in waiters.waiter_names}
        operation = of.get(options.pop(0), "no such waiter")
    else:
        operation = operations.get(operation, operation)
    if operation not in model.operation_names:
        return f"{service} has no {operation}"
    return _fault_of_options(model.operation_model(operation).input_shape, options)


def _fault_of_options(shape: Any, arguments: Sequence[str]) -> str | None:
    given = {word.replace("--no-", "--") for word in arguments if word.startswith("--")}
    known = {f"--{xform_name(name, '-')}" for name in shape.members}
    required = {f"--{xform_name(name, '-')}" for name in shape.required_members}
    if given - known - OF_THE_CLI:
        return f"no options {given - known - OF_THE_CLI}"
    return f"lacks {required - given}" if required - given else None


def _fault_of_terraform(command: str, *arguments: str) -> str | None:
    prod = "".join(path.read_text() for path in (TERRAFORM / "environments/prod").glob("*.tf"))
    match command:
        case "output":
            return None if f'output "{arguments[-1]}"' in prod else f"no output {arguments[-1]}"
        case "import":
            return _fault_of_address(arguments[0])
        case "init" | "plan" | "apply":
            modules = [word.partition("=module.")[2] for word in arguments if word.startswith("-target")]
            return next((f"no module {name}" for name in modules if f'module "{name}"' not in prod), None)
        case _:
            return f"terraform {command}?"


def _fault_of_address(address: str) -> str | None:
    module, kind, name = re.match(r"module\.(\w+)\.(\w+)\.(\w+)", address).groups()  # type: ignore[union-attr]
    text = "".join(path.read_text() for path in (TERRAFORM / "modules" / module).glob("*.tf"))
    return None if f'resource "{kind}" "{name}"' in text else f"nothing at {address}"


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_a_command_of_the_documents_can_be_given(command: Sequence[str]) -> None:
    assert fault_of(command) is None


def test_there_are_commands_of_each_tool() -> None:
    assert {command[0] for command in COMMANDS} == TOOLS
    assert sum(command[0] == "reservation-api" for command in COMMANDS) >= 8


def test_commands_are_found_inside_of_others_too() -> None:
    assert {tool for tool, *_ in COMMANDS} == TOOLS
    assert ("terraform", "output", "-raw", "api_min_count") in COMMANDS
    assert any(command[:3] == ("aws", "dynamodb", "restore-table-from-backup") for command in COMMANDS)


@pytest.mark.parametrize(
    "line",
    [
        "    reservation-api outbox retire ID",
        "    reservation-api archive replay --from yesterday --to 2026-11-23T12:00:00Z",
        "    aws dynamodb delete-tables --table-name x",
        "    aws dynamodb delete-table --name x",
        "    aws dynamodb delete-table",
        "    aws dynamodb wait table-gone --table-name x",
        "    for t in a b; do aws dynamo delete-table --table-name $t; done",
        '    terraform import "module.iam.aws_iam_role.nobody[\\"$t\\"]" x',
        "    x=$(terraform output -raw nothing)",
        "    terraform apply -target=module.nothing",
    ],
)
def test_a_command_that_there_is_not_is_found_out(line: str) -> None:
    (command,) = commands_of(line)
    assert fault_of(command) is not None
