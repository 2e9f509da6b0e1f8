"""NumPy's functions that have no operation behind them: why, and what to write.

One entry a function, by its name without the first "numpy.". Errors print it, the page
of NumPy's functions lists it, and the tests compare what is to be written with what the
function gives, gradients too.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

__all__ = ["REFUSED", "Refusal"]


class Refusal(NamedTuple):
    """Why a function of NumPy is refused, and what to write in its place."""

    why: str  # what the function does, as a sentence goes on
    instead: str  # code; empty where there is none that is short
    smooth: bool  # whether it has a derivative


def _refused(why: str, instead: Mapping[str, str]) -> dict[str, Refusal]:
    smooth = why in (_SMOOTH, _COMPLEX)
    return {name: Refusal(why, code, smooth) for name, code in instead.items()}


def _names(text: str, instead: str = "") -> dict[str, str]:
    return dict.fromkeys(text.split(), instead)


_SMOOTH = "has no operation behind it"
_COMPLEX = "gives complex numbers, which are not supported"
_STEPS = "has steps, and the derivative 0 between them"
_PLACES = "gives positions, or yes and no, which have no derivative"
_VALUES = "gives which values occur, or how often, which has no derivative"
_WHOLE = "is for whole numbers, which have no derivative"
_WRITES = "writes into an array, and what was recorded must stay as it was"
_TEXT = "is for text, files or dates"
_TYPES = "is about types or memory, not about numbers"

_ANGLES = "a = 2 * np.pi * np.outer(np.arange({0}), np.arange(4)) / 4"

REFUSED: dict[str, Refusal] = {
    **_refused(
        _SMOOTH,
        {
            "astype": "x.astype(float)",
            "polydiv": "",
            "sort_complex": "np.sort(x)",
            "trim_zeros": "x[np.flatnonzero(x)[0] : np.flatnonzero(x)[-1] + 1]",
        },
    ),
    **_refused(
        _COMPLEX,
        {
            "fft.fft": f"{_ANGLES.format(4)}; np.cos(a) @ x, -np.sin(a) @ x",
            "fft.rfft": f"{_ANGLES.format(3)}; np.cos(a) @ x, -np.sin(a) @ x",
            "linalg.eig": "np.linalg.eigh(S)",
            "linalg.eigvals": "np.linalg.eigvalsh(S)",
            "roots": "",
            **_names(
                "fft.fft2 fft.fftn fft.hfft fft.ifft fft.ifft2 fft.ifftn fft.ihfft"
            ),
            **_names("fft.irfft fft.irfft2 fft.irfftn fft.rfft2 fft.rfftn"),
        },
    ),
    **_refused(
        _STEPS,
        {
            **_names("nextafter spacing"),
        },
    ),
    **_refused(
        _PLACES,
        {
            **_names("argpartition array_equiv diag_indices_from isin isnat"),
            **_names("isneginf isposinf ix_ lexsort"),
            **_names("ravel_multi_index tril_indices_from triu_indices_from"),
            **_names("unravel_index"),
        },
    ),
    **_refused(
        _VALUES,
        {
            **_names("histogram2d histogramdd intersect1d"),
            **_names("setdiff1d setxor1d union1d unique unique_all unique_counts"),
            **_names("unique_inverse unique_values"),
        },
    ),
    **_refused(
        _WHOLE,
        {
            **_names("bitwise_and bitwise_count bitwise_or bitwise_xor gcd invert lcm"),
            **_names("left_shift packbits right_shift unpackbits"),
        },
    ),
    **_refused(
        _WRITES,
        {
            "copyto": "x.at[mask].set(y[mask]), for full_like np.broadcast_to(y, (4,))",
            "fill_diagonal": "A.at[np.diag_indices(3)].set(b)",
            "place": "x.at[mask].set(w)",
            "put": "x.at[k].set(w)",
            "put_along_axis": "x.at[k].set(w)",
            "putmask": "np.where(mask, y, x)",
        },
    ),
    **_refused(
        _TEXT,
        {
            **_names("array2string array_repr array_str busday_count busday_offset"),
            **_names("datetime_as_string einsum_path is_busday save savetxt savez"),
            **_names("savez_compressed"),
        },
    ),
    **_refused(
        _TYPES,
        {
            **_names("can_cast common_type may_share_memory"),
            **_names("min_scalar_type shares_memory"),
        },
    ),
}
