# SPDX-License-Identifier: Apache-2.0
EXTRA_DIST += rpm/nexusd.spec \
	tests/packaging/rpm/macros \
	tests/packaging/rpm/rpmlint.toml \
	tests/packaging/rpm/scriptlets \
	tests/packaging/rpm/systemd-update-helper \
	tests/packaging/rpm-test \
	tests/packaging/test-32bit
