# SPDX-License-Identifier: Apache-2.0
EXTRA_DIST += debian/changelog debian/control debian/copyright debian/rules debian/source/format
