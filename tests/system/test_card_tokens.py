"""Card tokens: keys derived from one master, a resolver that knows the cards, and a rotation in the midst of it."""
import json
import pathlib
import subprocess
import sys

import pytest

import rig as r
from card_resolver import TEST_CARDS, CardResolver, derive_key, key_name, read_cards

RESOLVER = pathlib.Path(__file__).resolve().parent.parent / "support" / "card_resolver.py"
CARDS = read_cards()


def master_file(folder, bytes_=bytes(range(32)), mode=0o600):
    path = folder / "master.key"
    path.touch()
    path.chmod(mode)
    path.write_bytes(bytes_)
    return path


def derive(master, out, gateway="shop-0001", version=1):
    return subprocess.run([r.BIN / "tillstream-bridge", "token-key", "derive", "--master", master, "--gateway", gateway,
                           "--key-version", str(version), "--out", out], capture_output=True, text=True, timeout=30, check=False)


def holders(rig, master):
    """event_id → holder, as the issuer's tool says it."""
    events = "".join(row["value"] + "\n" for row in rig.stream.rows())
    printed = subprocess.run([sys.executable, RESOLVER, "--master", master, "--cards", TEST_CARDS], input=events, capture_output=True,
                             text=True, timeout=30, check=True).stdout
    return {found["event_id"]: found["holder"] for found in map(json.loads, printed.splitlines())}


def sales(rig):
    return [json.loads(row["value"]) for row in rig.stream.rows() if row["type"] == "sale"]


def pay_with_all(rig, prefix, more=()):
    for n, number in enumerate([card.number for card in CARDS] + list(more)):
        status, answer = rig.gateway.submit(r.sale("T1", f"{prefix}{n}", card_number=number))
        assert status == 201, answer
    r.wait_for("all committed", lambda: rig.gateway.status()["pending_events"] == 0)


def test_a_derived_key_is_32_bytes_of_one_gateway_and_version_and_is_named(tmp_path):
    master = master_file(tmp_path)
    made = {}
    for gateway, version in (("shop-0001", 1), ("shop-0001", 2), ("shop-0002", 1)):
        out = tmp_path / f"{gateway}.{version}.key"
        done = derive(master, out, gateway, version)
        assert done.returncode == 0, done.stderr
        made[gateway, version] = out.read_bytes()
        assert out.stat().st_mode & 0o777 == 0o600
        assert made[gateway, version] == derive_key(master.read_bytes(), gateway, version), "as the resolver derives it"
        assert done.stdout.strip() == key_name(made[gateway, version])
    assert len(set(made.values())) == 3 and {len(key) for key in made.values()} == {32}


def test_a_key_is_never_written_over_and_a_weak_or_open_master_is_refused(tmp_path):
    out = tmp_path / "gateway.key"
    assert derive(master_file(tmp_path), out).returncode == 0
    before = out.read_bytes()
    again = derive(tmp_path / "master.key", out, version=2)
    assert again.returncode == 2 and str(out) in again.stderr and "exists" in again.stderr
    assert out.read_bytes() == before
    for bytes_, mode, why in ((b"short", 0o600, "5 bytes"), (b"", 0o600, "0 bytes"), (bytes(32), 0o600, "zeros"), (b"m" * 5000, 0o600, "more"),
                              (b"m" * 32, 0o640, "chmod 0600")):
        refused = derive(master_file(tmp_path, bytes_, mode), tmp_path / "other.key")
        assert refused.returncode == 2 and why in refused.stderr and "--master" in refused.stderr
        assert not (tmp_path / "other.key").exists()
    nonsense = derive(master_file(tmp_path), tmp_path / "other.key", gateway="SHOP 1")
    assert nonsense.returncode == 2 and "--gateway" in nonsense.stderr
    nowhere = derive(master_file(tmp_path), tmp_path / "no" / "folder.key")
    assert nowhere.returncode == 2 and "--out" in nowhere.stderr


@pytest.fixture
def shop(tmp_path, make_rig):
    master = master_file(tmp_path)
    for version in (1, 2):
        assert derive(master, tmp_path / f"v{version}.key", version=version).returncode == 0
    return make_rig(gateway={"card": {"token_key_file": str(tmp_path / "v1.key")}}), master


def test_the_resolver_finds_each_holder_before_during_and_after_a_rotation(shop, tmp_path):
    rig, master = shop
    stranger = "4000056655665556"
    config = rig.gateway.config
    pay_with_all(rig, "before-", [stranger])
    text = config.read_text()
    during = text.replace("v1.key\"", f"v2.key\"\nprevious_token_key_file = \"{tmp_path / 'v1.key'}\"")
    for prefix, new in (("during-", during), ("after-", text.replace("v1.key", "v2.key"))):
        config.write_text(new)
        rig.gateway.reload()
        pay_with_all(rig, prefix)
    names = {version: key_name((tmp_path / f"v{version}.key").read_bytes()) for version in (1, 2)}
    found = holders(rig, master)
    tokens = {}
    for event in sales(rig):
        phase, n = event["terminal_ref"].split("-")
        holder = CARDS[int(n)].holder if int(n) < len(CARDS) else None
        assert found[event["event_id"]] == holder
        assert event["card_token_key"] == names[1 if phase == "before" else 2]
        assert event.get("card_token_previous_key") == (names[1] if phase == "during" else None)
        tokens[phase, int(n)] = event
    for n in range(len(CARDS)):  # what a reader without keys needs to go on telling cards apart
        assert tokens["during", n]["card_token_previous"] == tokens["before", n]["card_token"]
        assert tokens["during", n]["card_token"] == tokens["after", n]["card_token"] != tokens["before", n]["card_token"]
    other = CardResolver(CARDS, b"another master key, of 32 bytes..")
    assert all(other.card(event) is None for event in sales(rig)), "a master of somebody else's opens nothing"


def test_a_repeat_after_the_rotation_is_the_same_event(shop, tmp_path):
    rig, _ = shop
    sale = r.sale("T1", "one", card_number=CARDS[0].number)
    assert rig.gateway.submit(sale)[0] == 201
    rig.gateway.config.write_text(rig.gateway.config.read_text().replace("v1.key", "v2.key"))
    rig.gateway.reload()
    assert rig.gateway.submit(sale)[0] == 200


def test_keys_lie_in_locked_memory(shop):
    rig, _ = shop
    status = pathlib.Path(f"/proc/{rig.gateway.popen.pid}/status").read_text()
    locked = int(next(line.split()[1] for line in status.splitlines() if line.startswith("VmLck")))
    assert locked >= 256, "KiB"
