"""An emulated CXL type-3 device as node 2 of the machine that run_in_vm.py starts.

qemu's device offers persistent memory, which Linux 6.1 can map by itself: a region over the device's decoder, a
namespace of kind devdax in it, and that taken as system RAM by kmem. The window that the firmware announces for CXL is
the third proximity domain, so its memory comes up as node 2, without cores, as an expander's does. A few MiB per
second.
"""

import pathlib
import shutil
import subprocess

BYTES = 256 << 20  # one memory block of 128 MiB is left of it: metadata and alignment take the rest
# Of nodes 0 and 1: what overflows a memory block asks for more on the device's node, too.
OTHER_NODES_MIB = (512, 512)
TOOLS = ("cxl", "ndctl", "daxctl")
# In the order in which they need each other.
MODULES = ("libnvdimm", "nfit", "nd_btt", "nd_pmem", "device_dax", "dax_pmem", "kmem", "cxl_acpi", "cxl_pci", "cxl_mem",
           "cxl_pmem")

BRING_UP = f"""
cxl_device() {{
  for module in {" ".join(MODULES)}; do insmod "/modules/$module.ko" || return 1; done
  cxl create-region -m -t pmem -d decoder0.0 -w 1 mem0 >/dev/null || return 1
  ndctl create-namespace -m devdax >/dev/null || return 1
  daxctl reconfigure-device --mode=system-ram dax0.0 >/dev/null || return 1
  # Proof that what follows runs on the device: RAM inside the CXL window, on node 2.
  awk '/ : CXL Window/ {{ inside = 1; next }} /^[^ ]/ {{ inside = 0 }} inside && /System RAM/ {{ found = 1; print }}
       END {{ exit !found }}' /proc/iomem && grep MemTotal /sys/devices/system/node/node2/meminfo
}}
cxl_device || {{ echo "numa-machine: the CXL device did not come up"; poweroff -f; }}
"""


def missing(modules):
    """What is not there: tools, and modules in that folder."""
    lost = [tool for tool in TOOLS if shutil.which(tool) is None]
    return lost + [name for name in MODULES if not (modules / f"{name}.ko").is_file()]


def files():
    return [pathlib.Path(shutil.which(tool)) for tool in TOOLS]


def arguments(folder):
    """qemu's, with the device's memory in that folder."""
    for name, size in (("memory", BYTES), ("labels", 1 << 20)):
        subprocess.run(["truncate", "-s", str(size), folder / name], check=True)
    return ["-object", f"memory-backend-file,id=cxl-memory,share=on,mem-path={folder / 'memory'},size={BYTES}",
            "-object", f"memory-backend-file,id=cxl-labels,share=on,mem-path={folder / 'labels'},size=1M",
            "-device", "pxb-cxl,bus_nr=12,bus=pcie.0,id=cxl.1",
            "-device", "cxl-rp,port=0,bus=cxl.1,id=root-port-0,chassis=0,slot=2",
            # Empty, and needed: behind a single root port qemu 7.2 loses what is stored.
            "-device", "cxl-rp,port=1,bus=cxl.1,id=root-port-1,chassis=0,slot=3",
            "-device", "cxl-type3,bus=root-port-0,memdev=cxl-memory,lsa=cxl-labels,id=cxl-device"]


def holds_data(folder):
    """Whether the device's memory, a sparse file in that folder, has got any of what the guest stored.

    The guest's own view is no proof: behind a single root port all of it looks right and this file stays empty.
    """
    stored = (folder / "memory").stat().st_blocks * 512
    print(f"numa-machine: {stored / 2**20:.1f} MiB of the CXL device's memory are written")
    return stored > 0


# Of -machine, and what hot-plugged memory asks of -m.
MACHINE = ",cxl=on,cxl-fmw.0.targets.0=cxl.1,cxl-fmw.0.size=4G"
MEMORY = ",slots=4,maxmem=8G"
