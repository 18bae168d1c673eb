"""System calls: the numbers of those that a jailed process may not make, and those that the standard library lacks.

`jail` refuses the former. Sources of the latter: prctl(2), linux/include/uapi/linux/prctl.h.
"""

import ctypes
import os
import platform

# By name, for x86_64 and aarch64. aarch64 never got the calls that newer ones had made redundant: those are None.
# Numbers: linux/arch/x86/entry/syscalls/syscall_64.tbl and linux/include/uapi/asm-generic/unistd.h.
Numbers = dict[str, tuple[int | None, int | None]]


def _numbers(table: str) -> Numbers:
    """Return the calls of a table of names, each followed by its two numbers or "-"."""
    words = iter(table.split())
    return {name: (_number(x86), _number(arm)) for name, x86, arm in zip(words, words, words, strict=True)}


def _number(word: str) -> int | None:
    return None if word == "-" else int(word)


NETWORK: Numbers = _numbers("""
    socket 41 198  socketpair 53 199  bind 49 200  listen 50 201  accept 43 202  accept4 288 242  connect 42 203
    sendto 44 206  sendmsg 46 211  sendmmsg 307 269
""")

# setsid, setpgid: leaving the group would outlive the kill of the group
NEW_PROGRAMS: Numbers = _numbers("""
    execve 59 221  execveat 322 281  fork 57 -  vfork 58 -  setsid 112 157  setpgid 109 154
""")

# semop … msgctl: objects of other processes are reached by their number alone, such as a database's semaphores
OTHER_PROCESSES: Numbers = _numbers("""
    ptrace 101 117  process_vm_readv 310 270  process_vm_writev 311 271  kcmp 312 272  process_madvise 440 440
    process_mrelease 448 448  pidfd_open 434 434  pidfd_getfd 438 438  pidfd_send_signal 424 424  tkill 200 130
    rt_sigqueueinfo 129 138  rt_tgsigqueueinfo 297 240  setpriority 141 140  sched_setscheduler 144 119
    sched_setparam 142 118  sched_setattr 314 274  sched_setaffinity 203 122  ioprio_set 251 30  migrate_pages 256 238
    move_pages 279 239  shmget 29 194  shmat 30 196  shmctl 31 195  semget 64 190  msgget 68 186  mq_open 240 180
    mq_unlink 241 181  semop 65 193  semctl 66 191  semtimedop 220 192  msgsnd 69 189  msgrcv 70 188  msgctl 71 187
""")

NAMESPACES_AND_MOUNTS: Numbers = _numbers("""
    unshare 272 97  setns 308 268  mount 165 40  umount2 166 39  pivot_root 155 41  chroot 161 51  move_mount 429 429
    fsopen 430 430  fsconfig 431 431  fsmount 432 432  fspick 433 433  open_tree 428 428  mount_setattr 442 442
""")

# io_setup, io_submit: all processes share a limited number of contexts
# memfd_create, memfd_secret: memory that no address space limit counts
KERNEL: Numbers = _numbers("""
    bpf 321 280  perf_event_open 298 241  add_key 248 217  request_key 249 218  keyctl 250 219  io_uring_setup 425 425
    io_uring_enter 426 426  io_uring_register 427 427  userfaultfd 323 282  kexec_load 246 104
    kexec_file_load 320 294  init_module 175 105  finit_module 313 273  delete_module 176 106  reboot 169 142
    swapon 167 224  swapoff 168 225  acct 163 89  quotactl 179 60  quotactl_fd 443 443  settimeofday 164 170
    clock_settime 227 112  clock_adjtime 305 266  adjtimex 159 171  iopl 172 -  ioperm 173 -  modify_ldt 154 -
    uselib 134 -  personality 135 92  syslog 103 116  sethostname 170 161  setdomainname 171 162  vhangup 153 58
    vmsplice 278 75  open_by_handle_at 304 265  name_to_handle_at 303 264  fanotify_init 300 262
    fanotify_mark 301 263  inotify_init 253 -  inotify_init1 294 26  inotify_add_watch 254 27  sync 162 81
    syncfs 306 267  io_setup 206 0  io_submit 209 2  memfd_create 319 279  memfd_secret 447 447
""")

IDENTITY_AND_LIMITS: Numbers = _numbers("""
    setuid 105 146  setgid 106 144  setreuid 113 145  setregid 114 143  setresuid 117 147  setresgid 119 149
    setfsuid 122 151  setfsgid 123 152  setgroups 116 159  capset 126 91  setrlimit 160 164
""")

# Landlock rules opening, making, renaming and removing files. It knows nothing of these.
FILE_METADATA: Numbers = _numbers("""
    chmod 90 -  fchmod 91 52  fchmodat 268 53  fchmodat2 452 452  chown 92 -  fchown 93 55  lchown 94 -
    fchownat 260 54  utime 132 -  utimes 235 -  futimesat 261 -  utimensat 280 88  truncate 76 45  setxattr 188 5
    lsetxattr 189 6  fsetxattr 190 7  removexattr 197 14  lremovexattr 198 15  fremovexattr 199 16  mknod 133 -
    mknodat 259 33
""")

DENIED: tuple[Numbers, ...] = (
    NETWORK,
    NEW_PROGRAMS,
    OTHER_PROCESSES,
    NAMESPACES_AND_MOUNTS,
    KERNEL,
    IDENTITY_AND_LIMITS,
    FILE_METADATA,
)

# Calls that are judged by their arguments, or that the jail itself makes.
JUDGED: dict[str, tuple[int, int]] = {
    "clone": (56, 220),
    "clone3": (435, 435),
    "kill": (62, 129),
    "tgkill": (234, 131),
    "prlimit64": (302, 261),
    "prctl": (157, 167),
    "fcntl": (72, 25),
    "seccomp": (317, 277),
    "capset": (126, 91),
    "landlock_create_ruleset": (444, 444),
    "landlock_add_rule": (445, 445),
    "landlock_restrict_self": (446, 446),
}

# Calls from here on are newer than this review (statmount, mseal, setxattrat …, and the whole x32 range). They are
# answered with "no such call", as an older kernel does, so C libraries fall back.
FIRST_UNREVIEWED = 457

AUDIT_ARCHITECTURE = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
COLUMN = {"x86_64": 0, "aarch64": 1}


ARCHITECTURE = platform.machine()

PR_SET_PDEATHSIG, PR_SET_DUMPABLE, PR_SET_MM, PR_SET_CHILD_SUBREAPER, PR_SET_NO_NEW_PRIVS = 1, 4, 35, 36, 38
PR_SET_PTRACER = 0x59616D61

_libc = ctypes.CDLL(None, use_errno=True)
_libc.syscall.restype = ctypes.c_long


class JailUnavailable(Exception):
    """A layer of the jail is missing here; the message is one sentence for the operator."""


def system_call(name: str, *arguments: object) -> int:
    """Make a system call that `syscalls` lists, and return its result. Raises `JailUnavailable`."""
    number = JUDGED[name][COLUMN[ARCHITECTURE]]
    passed = [ctypes.c_long(value) if isinstance(value, int) else value for value in arguments]
    result = int(_libc.syscall(ctypes.c_long(number), *passed))
    if result < 0:
        raise JailUnavailable(f"The kernel refused {name}: {os.strerror(ctypes.get_errno())}.")
    return result


def prctl(option: int, value: int, what: str) -> None:
    """Set an option of this process. Raises `JailUnavailable`."""
    if _libc.prctl(option, ctypes.c_ulong(value), 0, 0, 0) != 0:
        raise JailUnavailable(f"The kernel refused to set {what}: {os.strerror(ctypes.get_errno())}.")


def require(holds: bool, sentence: str) -> None:
    """Raise `JailUnavailable` with the sentence unless the condition holds."""
    if not holds:
        raise JailUnavailable(sentence)
