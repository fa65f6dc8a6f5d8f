# Copyright (c) 2026, the zfsops.zrep authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Have a lab with OpenZFS ready: python -m tests.lab.openzfs

Takes what is there, or makes it where a ready-made kernel is at hand. Exit status 1, and why, if it is not to be had; a
kernel is not built for it.
"""

import sys

from ..errors import LabError
from . import image

if not image.at_hand():
    sys.exit(f"no OpenZFS lab was made yet, and {image.READY_MADE} names no ready-made kernel")
try:
    image.ensure()
except LabError as error:
    sys.exit(" ".join(str(error).split()))
