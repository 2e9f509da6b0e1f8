"""What a caller is about to do, read from its frame: the one place that does.

NumPy asks for a Tensor's number in the same way for ``float(x)`` as for
``array[i] = x``, where the gradient would be lost unseen, and for an array in the same
way for ``np.array([x])`` as in a function of SciPy. Only the caller tells which.
"""

from __future__ import annotations

from opcode import opmap
from types import FrameType

__all__ = ["of_scipy", "stores_into_an_array"]

_STORE = opmap["STORE_SUBSCR"]


def stores_into_an_array(caller: FrameType | None) -> bool:
    """Whether a frame stands at a statement ``array[i] = x``.

    NumPy asks for the number from C, so that the caller's frame still stands there.
    ``co_code`` is the code as it was compiled, whatever the interpreter made of it.
    """
    if caller is None:  # a thread may begin with it
        return False
    return caller.f_code.co_code[caller.f_lasti] == _STORE


def of_scipy(caller: FrameType | None) -> list[str]:
    """The names of SciPy's functions that a frame stands in, the outermost first.

    Those of NumPy on the way are left out. What SciPy has called back is not SciPy.
    """
    names: list[str] = []
    while caller is not None:  # a thread may begin here
        library = caller.f_globals.get("__name__", "").partition(".")[0]
        if library == "scipy":
            names.append(caller.f_code.co_name)
        elif library != "numpy":
            break
        caller = caller.f_back
    return names[::-1]
