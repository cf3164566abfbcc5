# SPDX-License-Identifier: Apache-2.0
EXTRA_DIST += \
	debian/NEWS \
	debian/changelog \
	debian/control \
	debian/copyright \
	debian/nexusd.README.Debian \
	debian/nexusd.bug-script \
	debian/nexusd.docs \
	debian/nexusd.install \
	debian/nexusd.lintian-overrides \
	debian/nexusd.logcheck.ignore.server \
	debian/nexusd.postinst \
	debian/nexusd.postrm \
	debian/rules \
	debian/source/format \
	debian/source/lintian-overrides \
	debian/tests/control \
	debian/upstream/metadata \
	debian/watch
