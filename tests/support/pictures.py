"""What can be read from a picture: its words, and how they lie on the page."""

from __future__ import annotations

import numpy as np


def legend(ax):
    return [text.get_text() for text in ax.get_legend().get_texts()]


def captions(ax):
    return [text.get_text() for text in ax.texts]


def overlapping(texts):
    """Pairs of non-empty texts whose boxes on the page meet."""
    boxes = [(t.get_text(), t.get_window_extent()) for t in texts]
    boxes = [(word, box) for word, box in boxes if word]
    return [
        (a, b)
        for i, (a, first) in enumerate(boxes)
        for b, second in boxes[:i]
        if first.overlaps(second)
    ]


def luminance(rgb):
    """Relative luminance of an sRGB colour, by the formula of WCAG 2."""
    rgb = np.asarray(rgb[:3])
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    return linear @ [0.2126, 0.7152, 0.0722]
