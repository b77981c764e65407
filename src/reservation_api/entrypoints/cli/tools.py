"""What there is beside the processes that serve and work: tools, and what operators do."""

from reservation_api.entrypoints.cli.archive import archive
from reservation_api.entrypoints.cli.backup import backup
from reservation_api.entrypoints.cli.consume import consume
from reservation_api.entrypoints.cli.dlq import dlq
from reservation_api.entrypoints.cli.doctor import doctor
from reservation_api.entrypoints.cli.documents import config, openapi, schemas
from reservation_api.entrypoints.cli.events import events
from reservation_api.entrypoints.cli.inventory import inventory
from reservation_api.entrypoints.cli.outbox import outbox
from reservation_api.entrypoints.cli.plan_capacity import plan_capacity
from reservation_api.entrypoints.cli.token import token

SERVICE = (consume, token, events, outbox, inventory)
OPERATIONS = (dlq, archive, backup, doctor, plan_capacity)
DOCUMENTS = (config, openapi, schemas)

TOOLS = {str(command.name): command for command in (*SERVICE, *OPERATIONS, *DOCUMENTS)}
