#!/usr/bin/env python3
"""Runs a program in a small software-emulated machine with three NUMA nodes.

    run_in_vm.py [--data PATH]... [--cxl] PROGRAM [ARGUMENT...]

Nodes 0 and 1 have two cores each, node 2 has none: so does Linux show a CXL memory expander. With --cxl it is one: an
emulated type-3 device (cxl_device.py; `./dev setup --cxl`). The guest is a kernel that `./dev setup` unpacked, and an
initial file system made here of the program, the shared libraries it names, and the data files, all at their own
paths. What it says comes out here as it is said; the status is the program's. Where the machine cannot be made the
status is 77 with a reason: ctest's skip. It proves placement, never time.
"""

import argparse
import gzip
import pathlib
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile

import cxl_device

ROOT = pathlib.Path(__file__).resolve().parents[2]
KERNEL = ROOT / "build" / "numa-machine" / "vmlinuz"
MODULES = KERNEL.parent / "modules"
TOOLS = ("qemu-system-x86_64", "busybox", "cpio")
SKIPPED = 77
BROKEN = 125  # the machine died or hung
LATE = 124  # what `timeout` answers
STATUS = "numa-machine: the program ended with"

MEMORY_MIB = (512, 256, 64)
CORES = 2  # of nodes 0 and 1 each
DISTANCES = {(0, 1): 21, (0, 2): 28, (1, 2): 38}  # SLIT; 10 is a node's own
# HMAT: initiator, target, ns, bandwidth. Made up, with the order of a real machine: own, other socket, expander.
SPEEDS = [(0, 0, 90, "200G"), (0, 1, 150, "60G"), (0, 2, 250, "24G"),
          (1, 0, 150, "60G"), (1, 1, 90, "200G"), (1, 2, 320, "20G")]
# Nothing may move or merge pages behind the back of a test that asks where they lie.
KERNEL_OPTIONS = "console=ttyS0 quiet panic=-1 tsc=reliable numa_balancing=disable transparent_hugepage=madvise"

INIT = """#!/bin/busybox sh
/bin/busybox --install -s /bin
mount -t proc none /proc
mount -t sysfs none /sys
mount -t devtmpfs none /dev
export PATH=/bin:/usr/bin HOME=/tmp
{bring_up}
{command}
echo "{status} $?"
poweroff -f
"""


def skip(reason):
    """In the form in which `./dev test` collects reasons."""
    print(f"{sys.argv[0]}:1: Skipped\n{reason}\n\n[  SKIPPED ] numa")
    sys.exit(SKIPPED)


def check_tools(cxl):
    missing = [tool for tool in TOOLS if shutil.which(tool) is None]
    if missing:
        skip(f"not installed: {', '.join(missing)}; ./dev setup installs them")
    if not KERNEL.is_file():
        skip(f"{KERNEL.relative_to(ROOT)} is not there; ./dev setup unpacks it")
    if cxl and cxl_device.missing(MODULES):
        skip(f"not there: {', '.join(cxl_device.missing(MODULES))}; ./dev setup --cxl installs them")


def libraries(program):
    """The shared libraries that a program names, and their loader."""
    listing = subprocess.run(["ldd", program], capture_output=True, text=True, check=False).stdout
    lost = re.findall(r"^\s*(\S+) => not found", listing, re.M)
    if lost:
        sys.exit(f"{program}: libraries not found: {', '.join(lost)}")
    return re.findall(r"(/\S+) \(0x", listing)


def put(root, path):
    target = root / str(path).lstrip("/")
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy2(path, target)


def file_system(folder, command, data, cxl):
    """The guest's initial file system as a gzipped cpio archive."""
    root = folder / "root"
    for name in ("bin", "dev", "proc", "sys", "tmp"):
        (root / name).mkdir(parents=True)
    shutil.copy2(shutil.which("busybox"), root / "bin" / "busybox")
    programs = [command[0], *(cxl_device.files() if cxl else [])]
    for path in [*programs, *(library for program in programs for library in libraries(program)), *data]:
        put(root, path)
    if cxl:
        shutil.copytree(MODULES, root / "modules")
    init = root / "init"
    bring_up = cxl_device.BRING_UP if cxl else ""
    init.write_text(INIT.format(bring_up=bring_up, command=shlex.join(command), status=STATUS), encoding="utf-8")
    init.chmod(0o755)
    names = "\n".join(str(path.relative_to(root)) for path in sorted(root.rglob("*")))
    archive = subprocess.run(["cpio", "--create", "--format=newc", "--quiet"], cwd=root, input=names.encode(),
                             capture_output=True, check=True).stdout
    image = folder / "initrd"
    image.write_bytes(gzip.compress(archive, compresslevel=1))
    return image


def machine(image, cxl):
    """The command that starts it."""
    sizes = cxl_device.OTHER_NODES_MIB if cxl else MEMORY_MIB
    arguments = ["qemu-system-x86_64", "-machine", "q35,hmat=on" + (cxl_device.MACHINE if cxl else ""),
                 "-accel", "tcg,thread=multi", "-cpu", "max", "-smp", f"{2 * CORES},sockets=2,cores={CORES},threads=1",
                 "-m", f"{sum(sizes)}M" + (cxl_device.MEMORY if cxl else ""),
                 "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot", "-serial", "stdio"]
    if cxl:
        arguments += cxl_device.arguments(image.parent)
    for node, size in enumerate(sizes):
        has_cores = node < 2
        arguments += ["-object", f"memory-backend-ram,id=memory{node},size={size}M", "-numa",
                      f"node,nodeid={node},memdev=memory{node}" + ("" if has_cores else ",initiator=0")]
        if has_cores:
            arguments += ["-numa", f"cpu,node-id={node},socket-id={node}"]
    for (one, other), distance in DISTANCES.items():
        if other >= len(sizes):
            continue
        arguments += ["-numa", f"dist,src={one},dst={other},val={distance}"]
    for initiator, target, latency, bandwidth in SPEEDS:
        if target >= len(sizes):
            continue
        place = f"hmat-lb,initiator={initiator},target={target},hierarchy=memory"
        arguments += ["-numa", f"{place},data-type=access-latency,latency={latency}",
                      "-numa", f"{place},data-type=access-bandwidth,bandwidth={bandwidth}"]
    return [*arguments, "-kernel", str(KERNEL), "-initrd", str(image), "-append", KERNEL_OPTIONS]


def run(command, seconds):
    """Passes the console through; returns the status that the guest's last line tells.

    Line by line: whoever loses patience and ends this has seen how far the guest came.
    """
    told = None
    with subprocess.Popen(["timeout", "--foreground", "--kill-after=5", str(seconds), *command],
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as guest:
        try:
            for raw in guest.stdout:
                line = raw.decode(errors="replace").replace("\r", "")
                print(line, end="", flush=True)
                told = re.match(rf"{re.escape(STATUS)} (\d+)$", line) or told
        finally:
            guest.terminate()
    if told is None:
        late = f": no end after {seconds} s" if guest.returncode == LATE else ""
        print(f"\nnuma-machine: it did not come to its end{late}")
        return BROKEN
    return int(told[1])


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", action="append", default=[], type=pathlib.Path, help="a file that the program reads")
    parser.add_argument("--cxl", action="store_true", help="node 2 is the memory of an emulated CXL type-3 device")
    parser.add_argument("--seconds", type=int, default=280, help="limit (280)")
    parser.add_argument("command", nargs=argparse.REMAINDER)
    options = parser.parse_args()
    if not options.command:
        parser.error("PROGRAM is missing")
    check_tools(options.cxl)
    command = [str(pathlib.Path(options.command[0]).resolve()), *options.command[1:]]
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(BROKEN))  # neither the machine nor its folder stays behind
    with tempfile.TemporaryDirectory(prefix="hybridgen-numa-") as name:
        folder = pathlib.Path(name)
        image = file_system(folder, command, [path.resolve() for path in options.data], options.cxl)
        status = run(machine(image, options.cxl), options.seconds)
        if options.cxl and status == 0 and not cxl_device.holds_data(folder):
            print("numa-machine: nothing that the guest stored reached the CXL device")
            status = BROKEN
    sys.exit(status)


if __name__ == "__main__":
    main()
