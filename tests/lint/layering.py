#!/usr/bin/env python3
"""Reads every #include of the tree and refuses what its layer may not see. See README.md, "Rooms"."""
import pathlib
import re
import sys

INCLUDE = re.compile(r'^\s*#\s*include\s+([<"])([^>"]+)[>"]', re.M)
SOURCES = {".hpp", ".cpp", ".h"}

# What pure code may never include: I/O, threads, and the libraries that bring them.
NOT_PURE = re.compile(
    r"^(sqlite3|mosquitto|mqtt/|MQTT|librdkafka|openssl/|sys/|netinet/|arpa/|unistd\.h|fcntl\.h|systemd/|spdlog|prometheus/"
    r"|boost/asio|boost/beast|absl/|thread$|mutex$|condition_variable$|future$|iostream$|fstream$|filesystem$|cstdio$|CLI/)"
)
NOT_PURE_WORDS = re.compile(r"\b(steady_clock|system_clock|high_resolution_clock)\s*::\s*now\b")
# The one exception: an assertion that fails has to say so.
MAY_PRINT = {"proto/base/assert.cpp"}

ONE_DOOR = {  # library → the folders that may include it
    r"^sqlite3\.h$": ("adapters/sqlite", "tests/"),
    r"^mosquitto\.h$": ("adapters/mosquitto", "tests/"),
    r"^(mqtt/|MQTT)": ("adapters/paho", "tests/"),
    r"^librdkafka": ("adapters/rdkafka", "tests/"),
    r"^spdlog": ("proto/platform", "tests/"),
    r"^toml\+\+": ("proto/platform", "tests/"),
    r"^boost/beast": ("proto/platform", "tests/"),
    r"^CLI/": ("main.cpp", "cli.cpp", "tests/"),
}


def layer(path: str) -> str:
    if path.startswith("tests/"):
        return "tests"
    # config/ reads files and TOML through proto/platform: an adapter with a room of its own.
    if path.startswith("proto/platform/") or "/adapters/" in path or re.match(r"[^/]+/config/", path):
        return "adapter"
    if re.match(r"[^/]+/app/", path):
        return "main"
    if path.count("/") == 1 and not path.startswith("proto/"):
        return "main"
    return "pure"


def breaches(path: str, text: str):
    where = layer(path)
    side = path.split("/")[0]
    for bracket, name in INCLUDE.findall(text):
        if bracket == '"' and "/" not in name:
            yield f'#include "{name}" is not relative to the root'
        if side != "tests":
            for other in ("firmware-gateway", "cloud-bridge", "tests"):
                if name.startswith(other + "/") and other != side:
                    yield f"{side} may not include {name}"
        if where == "pure":
            if path not in MAY_PRINT and NOT_PURE.match(name):
                yield f"pure code may not include <{name}>"
            if re.search(r"/(adapters|config|app)/", name) or name.startswith("proto/platform/"):
                yield f"pure code may not include {name}"
        if where == "adapter" and "/adapters/" in name:
            own = re.match(r".*adapters/[^/]+", path)
            if own is None or not name.startswith(own.group(0) + "/"):
                yield f"an adapter may not include another one: {name}"
        for library, doors in ONE_DOOR.items():
            if re.match(library, name) and not any(door in path for door in doors):
                yield f"<{name}> is for {', '.join(doors)} only"
    if where == "pure" and NOT_PURE_WORDS.search(text):
        yield "pure code may not read a clock"


def self_test():
    """A lint that cannot fail guards nothing: each rule must refuse its own example."""
    cases = [
        ("proto/handoff/a.cpp", "#include <sys/socket.h>"),
        ("proto/handoff/a.cpp", '#include "proto/platform/log.hpp"'),
        ("proto/handoff/a.cpp", "auto t = std::chrono::steady_clock::now();"),
        ("firmware-gateway/journal/a.cpp", "#include <sqlite3.h>"),
        ("firmware-gateway/journal/a.cpp", '#include "firmware-gateway/adapters/sqlite/x.hpp"'),
        ("firmware-gateway/gateway/a.cpp", '#include "firmware-gateway/config/config.hpp"'),
        ("firmware-gateway/adapters/net/a.cpp", '#include "firmware-gateway/adapters/sqlite/x.hpp"'),
        ("firmware-gateway/main.cpp", '#include "cloud-bridge/stream/stream.hpp"'),
        ("cloud-bridge/stream/a.cpp", '#include "stream.hpp"'),
    ]
    for path, text in cases:
        if not list(breaches(path, text)):
            sys.exit(f"layering.py: does not refuse {text!r} in {path}")
    if list(breaches("proto/handoff/a.cpp", '#include <vector>\n#include "proto/base/bytes.hpp"')):
        sys.exit("layering.py: refuses what is allowed")


def main():
    root = pathlib.Path(sys.argv[1])
    self_test()
    found, files = [], 0
    for side in ("proto", "firmware-gateway", "cloud-bridge", "tests"):
        for file in sorted((root / side).rglob("*")):
            if file.suffix in SOURCES:
                files += 1
                path = file.relative_to(root).as_posix()
                found += [f"{path}: {breach}" for breach in breaches(path, file.read_text())]
    print("\n".join(found))
    if files == 0:
        sys.exit("layering.py: no source found")
    if found:
        sys.exit(1)
    print(f"layering: {files} files keep to their rooms")


main()
