# SPDX-License-Identifier: Apache-2.0
libnexusd_a_SOURCES += \
	src/daemon/admin.c \
	src/daemon/admin.h \
	src/daemon/daemon.c \
	src/daemon/daemon.h \
	src/daemon/daemon_state.h \
	src/daemon/fleet.c \
	src/daemon/fleet.h \
	src/daemon/process_metrics.c \
	src/daemon/process_metrics.h \
	src/daemon/reload.c \
	src/daemon/service.c \
	src/daemon/service.h \
	src/daemon/shutdown.c \
	src/daemon/sockets.c \
	src/daemon/worker.c \
	src/daemon/worker.h
