#!/usr/bin/env python3
"""Check that the core's static library asks the linker for nothing that core may not do.

    check_symbols.py libcore.a

An #include shows what a file could do, a symbol what it does. Prints `library(object): symbol: rule`
for each fault, and exits 1 where there is any.
"""

import re
import subprocess
import sys

# A rule, the C functions and objects that break it, and a pattern for the start of every other symbol
# that does, demangled.
RULES = [
    ("core reads no clock",
     "time clock ftime gettimeofday clock_gettime clock_getres timespec_get localtime localtime_r gmtime gmtime_r "
     "nanosleep clock_nanosleep sleep usleep",
     r"std::chrono::_V2::\w+::now"),
    ("core reads no environment",
     "getenv secure_getenv setenv putenv environ",
     None),
    ("core has no threads",
     "",
     r"pthread_|thrd_|mtx_|cnd_|sem_|std::(this_thread::|thread::|jthread::|mutex|condition_variable|__condvar|"
     r"__atomic_futex|future|promise|__future_base|latch|barrier|call_once|__once)"),
    ("core has no unseeded randomness",
     "rand rand_r srand random srandom drand48 lrand48 srand48 arc4random getrandom getentropy",
     r"std::random_device"),
    ("core prints nothing",
     "printf fprintf vprintf vfprintf dprintf __printf_chk __fprintf_chk __vprintf_chk __vfprintf_chk "
     "puts fputs putchar fputc putc perror syslog stdout stderr stdin",
     r"std::(ios_base::Init|cout|cerr|clog|wcout|wcerr|cin)\b"),
    ("core touches no file",
     "fopen fopen64 fdopen freopen fread fwrite fclose fflush open open64 openat read write close "
     "mmap mmap64 munmap stat stat64 remove rename unlink system popen",
     r"std::(__cxx11::)?(basic_([io]?fstream|filebuf)|filesystem)"),
    ("SimGrid is sim/simgrid's", "", r"simgrid::|xbt_|sg_|smpi_"),
    ("yaml-cpp is formats'", "", r"YAML::"),
    ("CUDA is runtime/cuda's", "", r"cu[A-Z]\w*$|cuda[A-Z]|__cuda|cublas|nvml"),
    ("libnuma and hwloc are runtime's", "mbind move_pages", r"numa_|hwloc_"),
    ("oneDNN is runtime's", "", r"dnnl"),
]  # fmt: skip

# Header-only libraries leave instances of their templates and no undefined symbol.
INSTANCES = [("nlohmann-json is formats'", r"\bnlohmann::"), ("Boost is cli's", r"\bboost::")]


def compile_rule(names, pattern):
    """One pattern for a whole rule; a C++ object may be asked for through its vtable or the like."""
    exact = [re.escape(name) + "$" for name in names.split()]
    start = [f"(?:(?:vtable|typeinfo|VTT|guard variable) for )?(?:{pattern})"] if pattern else []
    return re.compile("|".join(exact + start))


UNDEFINED = [(rule, compile_rule(names, pattern)) for rule, names, pattern in RULES]
ANYWHERE = [(rule, re.compile(pattern)) for rule, pattern in INSTANCES]
# nm -A: "libcore.a:step.cpp.o:                 U getenv@GLIBC_2.2.5"
LINE = re.compile(r"^(?P<library>.*?):(?P<object>[^:]+):[0-9a-f]*\s+(?P<type>[A-Za-z?])\s(?P<symbol>.*)$")


def symbols_of(library):
    run = subprocess.run(["nm", "-A", "-C", library], capture_output=True, text=True)
    if run.returncode:
        sys.exit(f"{library}: nm failed: {run.stderr.strip()}")
    for line in run.stdout.splitlines():
        found = LINE.match(line)
        if found:
            yield found["object"], found["type"], found["symbol"].split("@")[0]


def broken_rule(kind, symbol):
    for rule, pattern in UNDEFINED if kind in "Uwv" else []:
        if pattern.match(symbol):
            return rule
    for rule, pattern in ANYWHERE:
        if pattern.search(symbol):
            return rule
    return None


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    library = sys.argv[1]
    faults, count = {}, 0  # a dict keeps the order and drops what is named twice
    for member, kind, symbol in symbols_of(library):
        count += 1
        rule = broken_rule(kind, symbol)
        if rule:
            faults[f"{library}({member}): {symbol}: {rule}"] = True
    print(*faults, sep="\n", end="\n" if faults else "")
    print(f"{count} symbols, {len(faults)} against the rules")
    if count == 0:
        print(f"{library}: no symbol found, so nothing was checked")
    sys.exit(1 if faults or count == 0 else 0)


if __name__ == "__main__":
    main()
