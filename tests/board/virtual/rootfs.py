"""The guest's root file system as an initramfs, written by an ordinary user.

    rootfs.write("build/board/initramfs.cpio", entries, libraries_from="build/board/sysroot")

A cpio archive may say "device node" without anybody making one, so that no root is needed.
"""
import os
import re
import stat
import subprocess

LIBRARY_FOLDERS = ("lib/aarch64-linux-gnu", "usr/lib/aarch64-linux-gnu", "lib")
NEEDED = re.compile(r"\(NEEDED\).*\[(.*)\]")
INTERPRETER = re.compile(r"interpreter: (/.*)\]")


class Archive:
    """A "newc" cpio archive; folders are made as files need them."""

    def __init__(self, file):
        self.file = file
        self.number = 0
        self.known = {""}

    def entry(self, path, mode, content=b"", device=(0, 0)):
        name = path.encode() + b"\0"
        self.number += 1
        fields = (self.number, mode, 0, 0, 1, 0, len(content), 0, 0, *device, len(name), 0)
        head = b"070701" + b"".join(b"%08X" % field for field in fields) + name
        self.file.write(head + b"\0" * (-len(head) % 4))
        self.file.write(content + b"\0" * (-len(content) % 4))

    def folder(self, path):
        if path not in self.known:
            self.folder(os.path.dirname(path))
            self.entry(path, stat.S_IFDIR | 0o755)
            self.known.add(path)

    def add(self, path, content, mode=0o644):
        self.folder(os.path.dirname(path))
        if path not in self.known:
            self.entry(path, stat.S_IFREG | mode, content)
            self.known.add(path)

    def link(self, path, target):
        self.folder(os.path.dirname(path))
        if path not in self.known:
            self.entry(path, stat.S_IFLNK | 0o777, target.encode())
            self.known.add(path)

    def close(self):
        self.entry("TRAILER!!!", 0)


def read(path):
    with open(path, "rb") as file:
        return file.read()


def libraries_of(programs, sysroot):
    """{path in the guest: file} of the interpreter and of every library, theirs included."""
    found, waiting = {}, list(programs)
    while waiting:
        done = subprocess.run(["aarch64-linux-gnu-readelf", "-dl", waiting.pop()],
                              stdout=subprocess.PIPE, check=True, text=True)
        wanted = [os.path.basename(path) for path in INTERPRETER.findall(done.stdout)]
        for name in wanted + NEEDED.findall(done.stdout):
            for folder in LIBRARY_FOLDERS:
                path = os.path.join(folder, name)
                if path not in found and os.path.exists(os.path.join(sysroot, path)):
                    found[path] = os.path.realpath(os.path.join(sysroot, path))
                    waiting.append(found[path])
    return found


def is_program(path):
    with open(path, "rb") as file:
        return file.read(4) == b"\x7fELF"


def inside(target, source):
    """(path in the guest, file) of the file, or of every file in the folder."""
    if not os.path.isdir(source):
        return [(target, source)]
    return [(os.path.join(target, os.path.relpath(os.path.join(folder, name), source)),
             os.path.join(folder, name))
            for folder, _, names in os.walk(source) for name in sorted(names)]


def write(path, files, sysroot):
    """Writes the archive: `files` is {path in the guest: file or folder here}."""
    with open(path + ".new", "wb") as file:
        archive = Archive(file)
        archive.folder("dev")
        archive.entry("dev/console", stat.S_IFCHR | 0o600, device=(5, 1))
        programs = []
        for target, source in files.items():
            for name, origin in inside(target, source):
                archive.add(name, read(origin), 0o755 if os.access(origin, os.X_OK) else 0o644)
                if origin == source and is_program(origin):
                    programs.append(origin)
        for name, origin in libraries_of(programs, sysroot).items():
            archive.add(name, read(origin), 0o755)
        archive.close()
    os.replace(path + ".new", path)
