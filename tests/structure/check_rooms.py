#!/usr/bin/env python3
"""Compare every #include of the C++ rooms with the table below.

    check_rooms.py [--root DIR]

Prints `file:line: what is included: which rule it breaks` for each, and exits 1 where there is any.
"""

import argparse
import dataclasses
import fnmatch
import os
import pathlib
import posixpath
import re
import sys

# ---- the table -------------------------------------------------------------------------------------

# What an #include <...> can bring in. A standard header that is in no group is open to every room.
GROUPS = {
    "threads": "atomic barrier condition_variable execution future latch mutex semaphore shared_mutex "
    "stop_token thread pthread.h sched.h semaphore.h stdatomic.h threads.h omp.h",
    "clocks": "chrono ctime time.h sys/time.h sys/times.h sys/timerfd.h",
    "commit": "hybridgen_commit.hpp",  # written by the build: which commit this is
    "hashes": "kernel_hashes.hpp",  # written by the build: which sources the GPU kernels are of
    "shapes": "bench_shapes.hpp",  # written by the build: a model shape that the program carries
    "processes": "spawn.h sys/wait.h",
    "files": "cstdio filesystem fstream stdio.h unistd.h fcntl.h dirent.h sys/* linux/* dlfcn.h",
    "printing": "iostream print syncstream",
    "random": "random",
    "SIMD": "*intrin.h cpuid.h",
    "SimGrid": "simgrid/* simgrid.h xbt/* xbt.h smpi/*",
    "CUDA": "cuda* cublas* curand* cusparse* cub/* thrust/* nvml.h nvtx* cooperative_groups* mma.h "
    "driver_types.h vector_types.h device_launch_parameters.h",
    "libnuma": "numa.h numaif.h",
    "hwloc": "hwloc.h hwloc/*",
    "oneDNN": "dnnl* oneapi/dnnl/*",
    "Eigen": "Eigen/*",
    "liburing": "liburing.h liburing/*",
    "yaml-cpp": "yaml-cpp/*",
    "OpenSSL": "openssl/*",
    "nlohmann-json": "nlohmann/*",
    "Boost": "boost/*",
    "SQLite": "sqlite3.h",
    "MPI": "mpi.h",
}


@dataclasses.dataclass(frozen=True)
class Room:
    rooms: str  # folders whose headers it may include, besides its own; deeper folders are meant too
    groups: str = ""  # groups it may include
    never: str = ""  # project headers refused although their folder is allowed


# The longest folder that a file lies in decides. A file directly in core/ or sim/ lies in no room.
ROOMS = {
    "core/base": Room(""),
    "core/machine": Room("core/base"),
    "core/residency": Room("core/base core/machine"),
    "core/step": Room("core/base core/machine core/residency"),
    "core/policy": Room("core/base core/machine core/residency core/step"),
    "core/executor": Room("core/base core/machine core/residency core/step"),
    "core/driver": Room("core"),
    "formats": Room("core", "commit yaml-cpp nlohmann-json OpenSSL clocks files printing"),
    "runtime": Room("core", "threads clocks files printing random SIMD libnuma hwloc oneDNN liburing"),
    "runtime/lookahead": Room("core runtime", "threads Eigen"),
    "runtime/cuda": Room("core runtime", "hashes threads clocks files printing random SIMD CUDA"),
    "sim/world": Room("core", "files random", never="*/estimator*"),
    "sim/fluid": Room("core sim/world", "files random", never="*/estimator*"),
    "sim/simgrid": Room("core sim", "files random SimGrid", never="*/estimator*"),
    "study": Room("core formats", "threads clocks files printing random SQLite MPI"),
    "cli": Room("core formats runtime sim study", "shapes processes threads clocks files printing Boost"),
}

# Who may include the header of a part, x.hpp: x.cpp beside it, the registry, and presets.
PARTS = "core/policy/parts/*"
PARTS_USERS = "core/policy/registry.cpp core/policy/preset*"

# A policy must not read the simulator's truth: what a platform says of speed lies in the machine it is given.
BELIEFS_ONLY = "core/policy"
WORLD = re.compile(r"\b(costs\(|copy_cost\(|step_gap_ns\(|bytes_per_s\b|KernelCost\b|CopyCost\b)")

# ---- the check -------------------------------------------------------------------------------------

TOP_FOLDERS = sorted({room.split("/")[0] for room in ROOMS})
SOURCES = {".hpp", ".h", ".hh", ".hxx", ".cpp", ".cc", ".cxx", ".cu", ".cuh", ".inl", ".ipp", ".inc"}
INCLUDE = re.compile(r'^\s*#\s*include\b\s*(?:<([^>]+)>|"([^"]+)"|(.*))')


def matches(name, patterns):
    return any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns.split())


def lies_in(path, folder):
    return path.startswith(folder + "/")


def room_of(path):
    return max((room for room in ROOMS if lies_in(path, room)), key=len, default=None)


def project_path(root, source, name):
    """The path from the root of an included project header, or None for a library's."""
    beside = posixpath.normpath(posixpath.join(posixpath.dirname(source), name))
    if (root / beside).is_file():
        return beside
    from_root = posixpath.normpath(name)
    if (root / from_root).is_file() or from_root.split("/")[0] in TOP_FOLDERS:
        return from_root
    return None


def may_use_part(source, header):
    same_part = posixpath.splitext(source)[0] == posixpath.splitext(header)[0]
    return same_part or matches(source, PARTS_USERS)


def project_fault(source, header):
    """Why `source` may not include the project's `header`, or None."""
    name = room_of(source)
    room = ROOMS[name]
    if not any(lies_in(header, folder) for folder in [name, *room.rooms.split()]):
        return f"{name} may include of this project only: {' '.join([name, *room.rooms.split()])}"
    if matches(header, PARTS) and not may_use_part(source, header):
        return "only its own .cpp, the registry and presets may know a part of a policy"
    if matches(header, room.never):
        return f"{name} may never include {room.never}"
    return None


def library_fault(source, header):
    """Why `source` may not include a header that is not the project's, or None."""
    name = room_of(source)
    group = next((group for group, patterns in GROUPS.items() if matches(header, patterns)), None)
    if group is None:
        is_standard = "/" not in header and ("." not in header or header in C_HEADERS)
        return None if is_standard else "of no library that this project knows; check_rooms.py has the list"
    if group in ROOMS[name].groups.split():
        return None
    homes = [room for room, rule in ROOMS.items() if group in rule.groups.split()]
    return f"{group} is not for {name}, only for: {' '.join(homes)}"


C_HEADERS = "assert.h ctype.h errno.h float.h inttypes.h limits.h math.h stddef.h stdint.h stdlib.h string.h".split()


def check_file(root, source):
    if room_of(source) is None:
        return 0, [f"{source}:1: lies in no room; the rooms are: {' '.join(ROOMS)}"]
    faults, count = [], 0
    for number, line in enumerate((root / source).read_text(encoding="utf-8").splitlines(), 1):
        word = WORLD.search(line) if lies_in(source, BELIEFS_ONLY) else None
        if word:
            faults.append(f"{source}:{number}: uses {word.group(1)}: a policy learns speed from reports, the platform's"
                          " figures are the simulator's")
        found = INCLUDE.match(line)
        if not found:
            continue
        count += 1
        angle, quoted, computed = found.groups()
        if computed is not None:
            fault = "a computed #include cannot be checked"
        else:
            header = project_path(root, source, angle or quoted)
            fault = project_fault(source, header) if header else library_fault(source, angle or quoted)
        if fault:
            faults.append(f"{source}:{number}: includes {angle or quoted or computed.strip()}: {fault}")
    return count, faults


def sources_under(root):
    for top in TOP_FOLDERS:
        for folder, _, files in sorted(os.walk(root / top)):
            for file in sorted(files):
                if pathlib.PurePath(file).suffix in SOURCES:
                    yield (pathlib.Path(folder) / file).relative_to(root).as_posix()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--root", type=pathlib.Path, default=pathlib.Path(__file__).resolve().parents[2])
    root = parser.parse_args().root
    files, includes, faults = 0, 0, []
    for source in sources_under(root):
        count, found = check_file(root, source)
        files, includes, faults = files + 1, includes + count, faults + found
    print(*faults, sep="\n", end="\n" if faults else "")
    print(f"{includes} includes of {files} files, {len(faults)} against the table")
    if files == 0:
        print(f"{root}: no source file found, so nothing was checked")
    sys.exit(1 if faults or files == 0 else 0)


if __name__ == "__main__":
    main()
