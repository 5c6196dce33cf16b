"""Fail when the migrations build other tables than the models describe. Needs no running database."""

import sys
import tempfile
from pathlib import Path

from app.runtime.embedded import embedded_servers
from app.storage.database import make_engine
from app.storage.migrations import differences, migrate


def main() -> int:
    with tempfile.TemporaryDirectory(prefix="bw-") as home, embedded_servers(Path(home)) as servers:
        engine = make_engine(servers.database_url)
        migrate(engine)
        with engine.connect() as connection:
            found = differences(connection)
        engine.dispose()
    for difference in found:
        print(difference, file=sys.stderr)
    print("migrations equal models" if not found else "migrations and models differ: add a migration")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
