#!/usr/bin/env python3
"""sandbox.py UNIT PROGRAM [ARGUMENT]...   runs a program in what its unit makes of the kernel.

There is no systemd in a container, so its lines are done here by libseccomp and a user namespace:
SystemCallFilter, SystemCallErrorNumber, ProtectClock, RestrictAddressFamilies,
MemoryDenyWriteExecute, NoNewPrivileges and PrivateUsers. The groups of calls are systemd's own, from
systemd-analyze. Mounts, devices and network filters are not done.

As root the program gets a made-up user first (see USERS), as systemd would give it one.
"""
import ctypes
import errno
import os
import subprocess
import sys

ALLOW = 0x7FFF0000
EQ, MASKED_EQ = 4, 7
FAMILIES = 64
EXEC, WRITE_EXEC, SHM_EXEC = 4, 6, 0o100000
CLONE_NEWUSER = 0x10000000
NUMBERS = {"AF_UNIX": 1, "AF_INET": 2, "AF_INET6": 10, "AF_NETLINK": 16, "AF_BLUETOOTH": 31}
USERS = {"wellgate": 64001, "wellgate-devices": 64002}


class Argument(ctypes.Structure):
    _fields_ = [("arg", ctypes.c_uint), ("op", ctypes.c_int), ("a", ctypes.c_uint64), ("b", ctypes.c_uint64)]


def read_unit(path):
    """[(key, value)...] in the order of the file."""
    with open(path, encoding="utf-8") as stream:
        lines = [line.strip() for line in stream]
    return [tuple(line.split("=", 1)) for line in lines if "=" in line and not line.startswith(("#", ";"))]


def last(unit, key, default=""):
    return ([default] + [value for name, value in unit if name == key])[-1]


def calls_of(name):
    """A call, or all of a group and of the groups in it."""
    if not name.startswith("@"):
        return {name}
    text = subprocess.run(["systemd-analyze", "syscall-filter", name], capture_output=True, text=True, check=True,
                          env={**os.environ, "SYSTEMD_COLORS": "0"}).stdout
    members = [line.strip() for line in text.splitlines()[1:]]
    return set().union(*(calls_of(member) for member in members if member and not member.startswith("#")))


def allowed_calls(unit):
    allowed = calls_of("@default")
    for key, value in unit:
        if key != "SystemCallFilter":
            continue
        named = set().union(*(calls_of(name) for name in value.lstrip("~").split()))
        allowed = allowed - named if value.startswith("~") else allowed | named
    return allowed - calls_of("@clock") if last(unit, "ProtectClock") == "yes" else allowed


def refused(error):
    return 0x00050000 | error


class Filter:
    """One filter: what happens to every call, and the rules for single ones. Filters stack."""

    def __init__(self, action):
        self.lib = ctypes.CDLL("libseccomp.so.2")
        self.lib.seccomp_init.restype = ctypes.c_void_p
        self.context = ctypes.c_void_p(self.lib.seccomp_init(action))

    def rule(self, action, name, *arguments):
        number = self.lib.seccomp_syscall_resolve_name(name.encode())
        if number == -1:
            return  # not a call of this machine
        array = (Argument * max(len(arguments), 1))(*arguments)
        result = self.lib.seccomp_rule_add_array(self.context, action, number, len(arguments), array)
        if result < 0 and number >= 0:
            raise OSError(-result, f"no rule for {name}")

    def load(self):
        result = self.lib.seccomp_load(self.context)
        if result < 0:
            raise OSError(-result, "the filter is not taken")


def deny(error, rules):
    """A filter of its own that lets everything pass but these."""
    one = Filter(ALLOW)
    for name, argument in rules:
        one.rule(refused(error), name, argument)
    one.load()


def map_users(uid, gid):
    """PrivateUsers=yes: root, the own user and the own group; all others are nobody. A child writes
    the maps, because only who is privileged outside of them may map two users."""
    asked, told = os.pipe(), os.pipe()
    child = os.fork()
    if child == 0:
        os.read(asked[0], 1)
        for kind, own in (("uid", uid), ("gid", gid)):
            with open(f"/proc/{os.getppid()}/{kind}_map", "w", encoding="ascii") as stream:
                stream.write(f"0 0 1\n{own} {own} 1\n")
        os.write(told[1], b"x")
        os._exit(0)
    if ctypes.CDLL(None, use_errno=True).unshare(CLONE_NEWUSER) < 0:
        raise OSError(ctypes.get_errno(), "no user namespace")
    os.write(asked[1], b"x")
    os.read(told[0], 1)
    os.waitpid(child, 0)
    for end in asked + told:
        os.close(end)


def become(unit):
    if os.geteuid() != 0:
        return
    uid, gid = USERS[last(unit, "User")], USERS[last(unit, "Group")]
    os.setgroups([])
    if last(unit, "PrivateUsers") == "yes":
        map_users(uid, gid)
    os.setresgid(gid, gid, gid)
    os.setresuid(uid, uid, uid)


def shut_in(unit):
    families = last(unit, "RestrictAddressFamilies").split()
    if families:
        known = {NUMBERS[name] for name in families}
        deny(errno.EAFNOSUPPORT, [("socket", Argument(0, EQ, family, 0)) for family in range(FAMILIES)
                                  if family not in known])
    if last(unit, "MemoryDenyWriteExecute") == "yes":
        deny(errno.EPERM, [("mmap", Argument(2, MASKED_EQ, WRITE_EXEC, WRITE_EXEC)),
                           ("mprotect", Argument(2, MASKED_EQ, EXEC, EXEC)),
                           ("pkey_mprotect", Argument(2, MASKED_EQ, EXEC, EXEC)),
                           ("shmat", Argument(2, MASKED_EQ, SHM_EXEC, SHM_EXEC))])
    calls = Filter(refused(getattr(errno, last(unit, "SystemCallErrorNumber", "EPERM"))))
    for name in sorted(allowed_calls(unit)):
        calls.rule(ALLOW, name)
    calls.load()


def main():
    unit = read_unit(sys.argv[1])
    program = os.open(sys.argv[2], os.O_RDONLY | os.O_CLOEXEC)  # while we may still see it
    become(unit)
    shut_in(unit)
    os.execve(program, sys.argv[2:], os.environ)


if __name__ == "__main__":
    main()
