# SPDX-License-Identifier: Apache-2.0
# The installed package under a booted systemd; run by scripts/package-test, not by make check.
EXTRA_DIST += \
	tests/packaging/boot \
	tests/packaging/build \
	tests/packaging/inside \
	tests/packaging/lintian.suppressed \
	tests/packaging/load.py \
	tests/packaging/run \
	tests/packaging/service.py \
	tests/packaging/test_credentials.py \
	tests/packaging/test_packages.py \
	tests/packaging/test_reload.py \
	tests/packaging/test_restart.py \
	tests/packaging/test_scrape.py \
	tests/packaging/test_smoke.py \
	tests/packaging/test_socket.py \
	tests/packaging/test_upgrade.py \
	tests/packaging/test_watchdog.py
