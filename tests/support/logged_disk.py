#!/usr/bin/env python3
"""A disk that writes down what is done to it: what a power cut at any moment would have left of it is made afterwards. Root only.

An ext4 of its own on a loop device, whose file this program serves through FUSE: each write and each flush of the block layer comes by, one after the other,
and is in the log before the kernel hears that it is done. What was written before a flush is on the disk after it; what came later may be there or not, sector
by sector, in any order, as disks with a cache of their own have it. ext4 and its journal are real; so are the programs above it.
"""
import ctypes
import errno
import os
import struct
import subprocess
import sys

SECTOR = 512
WRITE, FLUSH = 1, 2
RECORD = struct.Struct("<BQI")  # kind, offset, length; the bytes follow

# --- the server: the part of FUSE's protocol (linux/fuse.h) that one file needs ---------------------------------------------------------------------------

IN, OUT = struct.Struct("<IIQQIIIHH"), struct.Struct("<IiQ")
LOOKUP, FORGET, GETATTR, OPEN, READ, WRITE_FILE, STATFS, RELEASE = 1, 2, 3, 14, 15, 16, 17, 18
FSYNC, FLUSH_FILE, INIT, OPENDIR, RELEASEDIR, INTERRUPT, DESTROY, BATCH_FORGET = 20, 25, 26, 27, 29, 36, 38, 42
SILENT = {FORGET, BATCH_FORGET, INTERRUPT}
ROOT_NODE, FILE_NODE, NAME = 1, 2, b"disk"
MAX_WRITE = 128 << 10
FUSE_BIG_WRITES, FUSE_MAX_PAGES = 1 << 5, 1 << 22
VALID_SECONDS = 3600


class Server:
    def __init__(self, image, log):
        self.image, self.log = os.open(image, os.O_RDWR), os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        self.bytes = os.fstat(self.image).st_size

    def serve(self, folder):
        device = os.open("/dev/fuse", os.O_RDWR)
        options = f"fd={device},rootmode=40000,user_id=0,group_id=0,allow_other".encode()
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.mount(b"logged-disk", os.fsencode(folder), b"fuse", 0, options) != 0:
            sys.exit(f"cannot mount on {folder}: {os.strerror(ctypes.get_errno())}")
        while True:
            try:
                request = os.read(device, MAX_WRITE + 4096)
            except OSError as error:
                if error.errno == errno.ENODEV:  # unmounted
                    return
                if error.errno in (errno.EINTR, errno.ENOENT):
                    continue
                raise
            _, opcode, unique, node, *_ = IN.unpack_from(request)
            if opcode in SILENT:
                continue
            try:
                error, body = 0, self.answer(opcode, node, memoryview(request)[IN.size:])
            except OSError as refused:
                error, body = -refused.errno, b""
            os.write(device, OUT.pack(OUT.size + len(body), error, unique) + body)

    def answer(self, opcode, node, body):
        if opcode == READ:
            _, offset, size = struct.unpack_from("<QQI", body)
            return os.pread(self.image, size, offset)
        if opcode == WRITE_FILE:
            _, offset, size = struct.unpack_from("<QQI", body)
            data = bytes(body[40:40 + size])
            os.pwrite(self.image, data, offset)
            os.write(self.log, RECORD.pack(WRITE, offset, size) + data)
            return struct.pack("<II", size, 0)
        if opcode == FSYNC:
            os.write(self.log, RECORD.pack(FLUSH, 0, 0))
            return b""
        if opcode == INIT:
            major, _ = struct.unpack_from("<II", body)
            return struct.pack("<IIIIHHIIHHI28x", major, 31, 0, FUSE_BIG_WRITES | FUSE_MAX_PAGES, 16, 12, MAX_WRITE, 1, MAX_WRITE // 4096, 0, 0)
        if opcode == LOOKUP:
            if bytes(body).rstrip(b"\0") != NAME:
                raise OSError(errno.ENOENT, "")
            return struct.pack("<QQQQII", FILE_NODE, 0, VALID_SECONDS, VALID_SECONDS, 0, 0) + self.attributes(FILE_NODE)
        if opcode == GETATTR:
            return struct.pack("<QII", VALID_SECONDS, 0, 0) + self.attributes(node)
        if opcode in (OPEN, OPENDIR):
            return struct.pack("<QII", 0, 0, 0)
        if opcode == STATFS:
            return struct.pack("<QQQQQIII28x", self.bytes // 4096, 0, 0, 2, 0, 4096, 255, 4096)
        if opcode in (RELEASE, RELEASEDIR, FLUSH_FILE, DESTROY):
            return b""
        raise OSError(errno.ENOSYS, "")

    def attributes(self, node):
        mode, size = (0o40700, 0) if node == ROOT_NODE else (0o100600, self.bytes)
        return struct.pack("<6Q10I", node, size, size // 512, 0, 0, 0, 0, 0, 0, mode, 1, 0, 0, 0, 4096, 0)


# --- the tests' side --------------------------------------------------------------------------------------------------------------------------------------


def is_possible():
    """Whether this process may mount, and the kernel has what it takes."""
    return os.geteuid() == 0 and os.path.exists("/dev/fuse") and os.path.exists("/dev/loop-control") and subprocess.run(
        ["unshare", "--mount", "true"], capture_output=True, check=False).returncode == 0


class LoggedDisk:
    BYTES = 48 << 20

    def __init__(self, folder):
        memory = folder / "memory"
        self.path, self.base, self.log = folder / "disk", memory / "base.img", folder / "disk.log"
        self._memory, self._served, self._image, self._left = memory, folder / "served", memory / "served.img", memory / "left.img"
        self._mounted = False
        for path in (memory, self.path, self._served):
            path.mkdir()
        # Images in memory: a real disk would have to take each of them in whole.
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={4 * self.BYTES}", "tmpfs", memory], check=True)
        with self.base.open("wb") as file:
            file.truncate(self.BYTES)
        subprocess.run(["mkfs.ext4", "-q", "-E", "lazy_itable_init=0,lazy_journal_init=0,nodiscard", self.base], check=True)
        subprocess.run(["cp", "--sparse=always", self.base, self._image], check=True)
        self._server = subprocess.Popen([sys.executable, __file__, self._served, self._image, self.log])
        while not (self._served / NAME.decode()).exists():
            assert self._server.poll() is None, "the disk's server has ended"
        self._mount(self._served / NAME.decode())

    def _mount(self, image):
        subprocess.run(["mount", "-t", "ext4", "-o", "loop", image, self.path], check=True)
        self._mounted = True

    def unmount(self):
        if self._mounted:
            subprocess.run(["umount", self.path], check=True)
        self._mounted = False

    def position(self):
        """What has been done so far; a cut here has it behind it."""
        return self.log.stat().st_size

    def mount_left(self, image):
        """In the place of the disk: what a cut has left."""
        self.unmount()
        self._left.write_bytes(image)
        self._mount(self._left)

    def close(self):
        self.unmount()
        subprocess.run(["umount", self._served], check=False)
        self._server.terminate()
        self._server.wait(10)
        subprocess.run(["umount", self._memory], check=True)


class PowerCuts:
    """What cuts leave, at positions that only grow."""

    def __init__(self, disk):
        self._durable = bytearray(disk.base.read_bytes())
        self._log, self._at = disk.log.read_bytes(), 0
        self._unsynced = []
        self.writes = self.flushes = 0

    def ends(self):
        """Where each record of the log ends, and whether it is a flush."""
        at = 0
        while at + RECORD.size <= len(self._log):
            kind, _, length = RECORD.unpack_from(self._log, at)
            at += RECORD.size + length
            yield at, kind == FLUSH

    def go_to(self, position):
        while self._at + RECORD.size <= position:
            kind, offset, length = RECORD.unpack_from(self._log, self._at)
            end = self._at + RECORD.size + length
            if end > position:
                return
            if kind == FLUSH:
                self._write(self._durable, self._unsynced)
                self._unsynced, self.flushes = [], self.flushes + 1
            else:
                self._unsynced.append((offset, self._log[end - length:end]))
                self.writes += 1
            self._at = end

    def left(self, seed):
        """A cut here; `seed` decides which sectors of what was not flushed are there: none, all, or some."""
        image = bytearray(self._durable)
        chance = seed.choice([0.0, 0.5, 0.95, 1.0])
        pieces = [(offset + at, data[at:at + SECTOR]) for offset, data in self._unsynced for at in range(0, len(data), SECTOR)]
        self._write(image, [piece for piece in pieces if seed.random() < chance])
        return image

    @staticmethod
    def _write(image, pieces):
        for offset, data in pieces:
            image[offset:offset + len(data)] = data


if __name__ == "__main__":
    Server(sys.argv[2], sys.argv[3]).serve(sys.argv[1])
