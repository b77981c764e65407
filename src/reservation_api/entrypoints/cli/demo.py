"""What `dev` puts on sale."""

from reservation_api.adapters.sqlite.venues import VenueError, demo_plan, load_event
from reservation_api.bootstrap import open_database
from reservation_api.config import Config


async def put_demo_on_sale(config: Config) -> None:
    """Load the demo event into the built-in inventory, unless it is there."""
    database = open_database(config)
    try:
        await load_event(database, demo_plan())
    except VenueError:
        return  # an event of one's own has that id: it is as good
    finally:
        database.close()
