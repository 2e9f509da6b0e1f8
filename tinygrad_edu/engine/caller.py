"""What a caller is about to do, read from its bytecode: the one place that does.

NumPy asks for a Tensor's number in the same way for ``float(x)`` as for
``array[i] = x``, where the gradient would be lost unseen. Only the caller tells which.
"""

from __future__ import annotations

from opcode import opmap
from types import FrameType

__all__ = ["stores_into_an_array"]

_STORE = opmap["STORE_SUBSCR"]


def stores_into_an_array(caller: FrameType | None) -> bool:
    """Whether a frame stands at a statement ``array[i] = x``.

    NumPy asks for the number from C, so that the caller's frame still stands there.
    ``co_code`` is the code as it was compiled, whatever the interpreter made of it.
    """
    if caller is None:  # a thread may begin with it
        return False
    return caller.f_code.co_code[caller.f_lasti] == _STORE
