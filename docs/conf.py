"""The site: ``make docs`` builds it into ``docs/_build/html``."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import ziamath

# One thread for each notebook: two are executed at a time.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
sys.path.insert(0, str(Path(__file__).parent / "_extensions"))

# The font of the formulas, STIX Two Math, comes with this package.
FONT = Path(ziamath.__file__).parent / "fonts" / "STIXTwoMath-Regular.ttf"

project = "tinygrad_edu"
author = copyright = "tinygrad_edu contributors"

extensions = ["myst_nb", "sphinx.ext.autodoc", "numpydoc", "mathml", "reference"]
exclude_patterns = ["_build", "notebooks", "**.ipynb_checkpoints"]
nitpicky = True  # every name that is referred to has to be there

# Plots are SVG, sharp at any size. What the kernels read first, in place of settings of
# one's own; the folder goes when the build ends.
_kernels = TemporaryDirectory()
_settings = Path(_kernels.name, "profile_default", "ipython_config.py")
_settings.parent.mkdir()
_settings.write_text("c.InlineBackend.figure_formats = {'svg'}\n", encoding="utf-8")
os.environ["IPYTHONDIR"] = _kernels.name

# Pages: Markdown, and notebooks in Markdown, whose every cell is run.
myst_enable_extensions = ["amsmath", "dollarmath"]
myst_heading_anchors = 4
nb_execution_mode = "force"
nb_execution_show_tb = True  # and the warning fails the build
nb_execution_timeout = 120  # seconds for a cell
nb_merge_streams = True

# The reference: types stand in the docstrings.
autodoc_typehints = "none"
autodoc_member_order = "bysource"
numpydoc_show_class_members = False

html_theme = "furo"
html_title = "tinygrad_edu"
html_math_renderer = "mathml"
html_static_path = ["_static", str(FONT)]
html_css_files = ["site.css"]
html_show_sphinx = False
html_copy_source = False
