"""Commands of `reservation-api` run inside the test's own process, each on its data directory."""

from dataclasses import dataclass
from pathlib import Path

from click.testing import CliRunner, Result

from reservation_api.config.settings import SETTINGS
from reservation_api.entrypoints.cli import main

_UNSET: dict[str, str | None] = dict.fromkeys(SETTINGS)


@dataclass(frozen=True)
class Cli:
    data_dir: Path

    def run(self, *arguments: str, code: int = 0, **env: str) -> Result:
        """Run a command with these variables and no other of ours; it ends with `code`, and no traceback."""
        variables = {**_UNSET, "APP_DATA_DIR": str(self.data_dir), **env}
        result = CliRunner().invoke(main, arguments, env=variables, prog_name="reservation-api")
        assert result.exit_code == code, result.output
        assert "Traceback" not in result.output
        return result
