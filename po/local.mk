# SPDX-License-Identifier: Apache-2.0
EXTRA_DIST += po/README po/POTFILES.in po/LINGUAS
