"""A SQLite file with its tables, made once per run and copied: every migration again would cost a second per test."""

import atexit
import os
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path
from tempfile import mkdtemp

FILE = "trunkline.db"


def lay_tables(folder: Path) -> None:
    """Have a start in this folder find the tables. Where there is no folder yet it makes both for itself."""
    file = folder / FILE
    if folder.is_dir() and not file.exists():
        shutil.copyfile(_model(), file)
        file.chmod(0o600)


@cache
def _model() -> Path:
    folder = Path(mkdtemp(prefix="trunkline-tables-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    environment = os.environ | {"TRUNKLINE_DATABASE_URL": f"sqlite://{folder}/{FILE}"}
    command, checkout = [sys.executable, "-m", "trunkline", "migrate"], Path(__file__).parent.parent
    subprocess.run(command, cwd=checkout, env=environment, stdout=subprocess.DEVNULL, check=True)
    return folder / FILE
