import os
import random

import pytest

import rig as rig_module


@pytest.fixture
def seed(request):
    """Decides every random moment of the test; printed, and given again by TILLSTREAM_SEED."""
    value = int(os.environ.get("TILLSTREAM_SEED", random.SystemRandom().randrange(1 << 32)))
    print(f"{request.node.name}: TILLSTREAM_SEED={value}")
    return random.Random(value)


@pytest.fixture
def make_rig(tmp_path):
    rigs = []

    def make(**options):
        rigs.append(rig_module.Rig(tmp_path, **options))
        return rigs[-1]

    yield make
    for made in rigs:
        made.close()
        for process in (made.gateway, made.bridge, made.broker, *made.others):
            # Shown by pytest only when the test failed.
            print(f"--- {process.name}\n{process.log()[-4000:]}")
            assert "AddressSanitizer" not in process.log(), f"{process.name}: see its log above"
            assert "runtime error:" not in process.log(), f"{process.name}: see its log above"
            assert "assertion failed" not in process.log(), f"{process.name}: see its log above"
