#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Makes ./configure; needs autoconf, automake and pkg-config.
set -eu
cd "$(dirname "$0")"
mkdir -p build-aux
exec autoreconf --force --install --warnings=all,no-portability
