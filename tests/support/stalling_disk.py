"""A disk that can be made to hold every write back: an ext4 of its own on a loop device. Root only."""
import contextlib
import subprocess


class StallingDisk:
    def __init__(self, folder):
        self.image, self.path = folder / "disk.img", folder / "disk"
        self.path.mkdir()
        with self.image.open("wb") as file:
            file.truncate(128 << 20)
        subprocess.run(["mkfs.ext4", "-q", self.image], check=True)
        subprocess.run(["mount", "-o", "loop", self.image, self.path], check=True)

    @contextlib.contextmanager
    def stalled(self):
        subprocess.run(["fsfreeze", "--freeze", self.path], check=True)
        try:
            yield
        finally:
            subprocess.run(["fsfreeze", "--unfreeze", self.path], check=True)

    def close(self):
        subprocess.run(["umount", self.path], check=True)
