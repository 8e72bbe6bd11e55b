"""The recipe of a migration works as it is written."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
COLUMN = "    nickname = fields.CharField(NICKNAME_MAX, null=True)\n"
NEW_COLUMN = "    remark = fields.CharField(80, null=True)\n"


def test_the_recipe_makes_a_migration(tmp_path: Path) -> None:
    for folder in ("models", "trunkline"):
        shutil.copytree(ROOT / folder, tmp_path / folder, ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / ".venv").symlink_to(sys.prefix)
    model = tmp_path / "models" / "sip_trunk.py"
    model.write_text(model.read_text().replace(COLUMN, COLUMN + NEW_COLUMN))
    recipe = (ROOT / "docs" / "recipes" / "make-a-migration.md").read_text()
    match = re.search(r"```sh\n(.*?)```", recipe, re.DOTALL)
    assert match
    number = len(list(model.parent.glob("migrations/0*.py"))) + 1
    commands = match[1].replace("/tmp/", f"{tmp_path}/").replace("0002", f"{number:04}")  # noqa: S108  # the recipe's
    done = subprocess.run(["sh", "-ec", commands], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert 'ADD COLUMN "remark" VARCHAR(80)' in done.stdout
    assert (model.parent / "migrations" / f"{number:04}_trunk_remark.py").exists()
    assert not (tmp_path / "data").exists()
