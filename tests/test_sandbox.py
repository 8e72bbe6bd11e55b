"""The sandbox: the contract suite, and what is its own: the file, its durability, its secrecy, two processes."""

from pathlib import Path

import pytest

from models.secret import Keyring
from tests.voice_contract import CASES, Case, run
from trunkline.voice.sandbox import SandboxVoice

KEYRING = Keyring.parse(Keyring.generate("k1"))


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.__name__)
async def test_sandbox_keeps_the_contract(case: Case, tmp_path: Path) -> None:
    voice = SandboxVoice(tmp_path / "sandbox.db", KEYRING)
    await run(case, voice)
    await voice.aclose()
