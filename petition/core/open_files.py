"""Whether this process has file descriptors left: each connection needs one, a client's and the database's too."""

import errno
import os

NONE_LEFT = "no file descriptors are left: raise LimitNOFILE"


def are_left() -> bool:
    """Return whether this process may open one more file, or connection."""
    try:
        os.close(os.open(os.devnull, os.O_RDONLY))
    except OSError as error:
        return not is_out(error)
    return True


def is_out(error: BaseException) -> bool:
    """Return whether ``error`` says that this process, or the machine, has too many files open."""
    return isinstance(error, OSError) and error.errno in {errno.EMFILE, errno.ENFILE}
