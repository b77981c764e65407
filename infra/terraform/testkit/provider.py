"""The provider that Terraform talks to: its plugin protocol, version 6, over the table of kinds."""

import functools
import json
import traceback
from collections.abc import Callable, Iterable
from typing import Any

from tf.gen import tfplugin_pb2 as pb
from tf.gen import tfplugin_pb2_grpc as rpc

from testkit.aws import Aws
from testkit.kind import Fault
from testkit.resources import Applied, Resources
from testkit.schema import Block, Schema, set_by_the_provider_alone
from testkit.values import State, decode, encode

NESTING = {"single": 1, "list": 2, "set": 3, "map": 4}

Method = Callable[["Provider", Any, Any], Any]


def block_message(block: Block) -> Any:
    """Write a block of the schema as Terraform wants it."""
    return pb.Schema.Block(
        attributes=[
            pb.Schema.Attribute(
                name=name,
                type=json.dumps(a.type).encode(),
                required=a.required,
                optional=a.optional,
                computed=a.computed,
            )
            for name, a in sorted(block.attributes.items())
        ],
        block_types=[
            pb.Schema.NestedBlock(
                type_name=name,
                nesting=NESTING[nested.mode],
                block=block_message(nested.block),
                min_items=nested.min_items,
                max_items=nested.max_items,
            )
            for name, nested in sorted(block.blocks.items())
        ],
    )


def diagnostic(fault: Fault) -> Any:
    """Write a fault as Terraform shows it."""
    message = pb.Diagnostic(severity=pb.Diagnostic.ERROR, summary=fault.summary, detail=fault.detail)
    if fault.attribute:
        message.attribute.steps.extend([pb.AttributePath.Step(attribute_name=fault.attribute)])
    return message


def fault_of(name: str, error: Exception) -> Fault:
    """Say what went wrong, and where in the testkit it was raised."""
    places = [f"{frame.filename}:{frame.lineno}" for frame in traceback.extract_tb(error.__traceback__)]
    ours = [place for place in places if "/testkit/" in place]
    return Fault(f"{name}: {type(error).__name__}: {error}", detail="raised in " + " < ".join(reversed(ours)))


def answering(response: Any) -> Callable[[Method], Method]:
    """Turn an error of a method into a diagnostic, so that Terraform can say where it was."""

    def decorated(method: Method) -> Method:
        @functools.wraps(method)
        def answered(self: "Provider", request: Any, context: Any) -> Any:
            try:
                return method(self, request, context)
            except Exception as error:  # noqa: BLE001 (the edge of the process: Terraform shows it to the user)
                fault = fault_of(getattr(request, "type_name", "provider"), error)
                return response(diagnostics=[diagnostic(fault)])

        return answered

    return decorated


class Provider(rpc.ProviderServicer):  # type: ignore[misc]
    """Terraform's questions, answered from the schema and the table of kinds."""

    def __init__(self, schema: Schema, aws: Aws) -> None:
        self._schema = schema
        self._resources = Resources(schema, aws)
        self._configured: dict[str, Resources] = {}
        """By connection: Terraform opens one for each configuration of the provider."""

    def GetProviderSchema(self, _request: Any, _context: Any) -> Any:
        """Return the whole schema."""
        return self._schema_message

    @functools.cached_property
    def _schema_message(self) -> Any:
        return pb.GetProviderSchema.Response(
            provider=pb.Schema(block=block_message(self._schema.provider)),
            resource_schemas=self._messages(self._schema.resources.items()),
            data_source_schemas=self._messages(self._schema.data_sources.items()),
            server_capabilities=self._capabilities(),
        )

    def GetMetadata(self, _request: Any, _context: Any) -> Any:
        """Return the names of what there is."""
        return pb.GetMetadata.Response(
            server_capabilities=self._capabilities(),
            resources=[pb.GetMetadata.ResourceMetadata(type_name=t) for t in self._schema.resources],
            data_sources=[pb.GetMetadata.DataSourceMetadata(type_name=t) for t in self._schema.data_sources],
        )

    @staticmethod
    def _capabilities() -> Any:
        return pb.ServerCapabilities(get_provider_schema_optional=True)

    @staticmethod
    def _messages(blocks: Iterable[tuple[str, Block]]) -> dict[str, Any]:
        return {name: pb.Schema(block=block_message(block)) for name, block in blocks}

    def GetFunctions(self, _request: Any, _context: Any) -> Any:
        """Return no functions."""
        return pb.GetFunctions.Response()

    def ValidateProviderConfig(self, _request: Any, _context: Any) -> Any:
        """Accept any settings that fit the schema."""
        return pb.ValidateProviderConfig.Response()

    @answering(pb.ValidateResourceConfig.Response)
    def ValidateResourceConfig(self, request: Any, _context: Any) -> Any:
        """Refuse what the provider or AWS would refuse for the configuration alone."""
        config = decode(request.config.msgpack, request.config.json)
        faults = [
            Fault(f'Value for unconfigurable attribute "{path}"', path.partition(".")[0])
            for path in set_by_the_provider_alone(self._schema.resources[request.type_name], config)
        ]
        faults += self._resources.faults(request.type_name, config)
        return pb.ValidateResourceConfig.Response(diagnostics=[diagnostic(fault) for fault in faults])

    def ValidateDataResourceConfig(self, _request: Any, _context: Any) -> Any:
        """Accept any search that fits the schema."""
        return pb.ValidateDataResourceConfig.Response()

    @answering(pb.UpgradeResourceState.Response)
    def UpgradeResourceState(self, request: Any, _context: Any) -> Any:
        """Take the state as it was written; only this provider ever wrote it."""
        written: State = json.loads(request.raw_state.json)
        state = self._schema.resources[request.type_name].empty() | written
        return pb.UpgradeResourceState.Response(upgraded_state=dynamic(state))

    @answering(pb.ConfigureProvider.Response)
    def ConfigureProvider(self, request: Any, context: Any) -> Any:
        """Take region and default tags from the provider block."""
        config = decode(request.config.msgpack, request.config.json)
        self._configured[context.peer()] = self._resources.configured(config)
        return pb.ConfigureProvider.Response()

    @answering(pb.PlanResourceChange.Response)
    def PlanResourceChange(self, request: Any, context: Any) -> Any:
        """Plan a creation, an update or a replacement."""
        if decode(request.proposed_new_state.msgpack) is None:
            return pb.PlanResourceChange.Response(planned_state=request.proposed_new_state)
        config, prior = decode(request.config.msgpack), decode(request.prior_state.msgpack)
        plan = self._configured[context.peer()].plan(request.type_name, config, prior)
        return pb.PlanResourceChange.Response(
            planned_state=dynamic(plan.planned),
            requires_replace=[
                pb.AttributePath(steps=[pb.AttributePath.Step(attribute_name=name)]) for name in plan.replaces
            ],
            legacy_type_system=True,  # as the real provider says of its own plans
        )

    @answering(pb.ApplyResourceChange.Response)
    def ApplyResourceChange(self, request: Any, context: Any) -> Any:
        """Create, update or delete; the new state is what was then read."""
        prior, planned = decode(request.prior_state.msgpack), decode(request.planned_state.msgpack)
        # Only now is every value known, such as a policy with the ARN of something that was just made.
        faults = self._resources.faults(request.type_name, decode(request.config.msgpack)) if planned else []
        applied = (
            Applied(prior)
            if faults
            else self._configured[context.peer()].apply(request.type_name, prior, planned)
        )
        faults += [fault_of(request.type_name, applied.error)] if applied.error else []
        return pb.ApplyResourceChange.Response(
            new_state=dynamic(applied.state),
            legacy_type_system=True,
            diagnostics=[diagnostic(fault) for fault in faults],
        )

    @answering(pb.ReadResource.Response)
    def ReadResource(self, request: Any, context: Any) -> Any:
        """Read a resource anew; null when it is gone."""
        state = decode(request.current_state.msgpack)
        return pb.ReadResource.Response(
            new_state=dynamic(self._configured[context.peer()].read(request.type_name, state))
        )

    @answering(pb.ImportResourceState.Response)
    def ImportResourceState(self, request: Any, context: Any) -> Any:
        """Begin the state of a resource that is there already."""
        state = self._configured[context.peer()].imported(request.type_name, request.id)
        imported = pb.ImportResourceState.ImportedResource(type_name=request.type_name, state=dynamic(state))
        return pb.ImportResourceState.Response(imported_resources=[imported])

    @answering(pb.ReadDataSource.Response)
    def ReadDataSource(self, request: Any, context: Any) -> Any:
        """Look something up."""
        found = self._configured[context.peer()].data(request.type_name, decode(request.config.msgpack))
        return pb.ReadDataSource.Response(state=dynamic(found))

    def StopProvider(self, _request: Any, _context: Any) -> Any:
        """Have nothing to stop: no call is long."""
        return pb.StopProvider.Response()


def dynamic(value: object) -> Any:
    """Wrap a value for the wire."""
    return pb.DynamicValue(msgpack=encode(value))
