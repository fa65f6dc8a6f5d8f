# Copyright (c) 2026, the zfsops.zrep authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a lab with OpenZFS is at hand: exit status 0 if it is there, or can be without building a kernel."""

import sys

from . import image

sys.exit(0 if image.at_hand() else 1)
