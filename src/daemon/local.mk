# SPDX-License-Identifier: Apache-2.0
libnexusd_a_SOURCES += \
	src/daemon/admin.c \
	src/daemon/admin.h \
	src/daemon/channel.c \
	src/daemon/channel.h \
	src/daemon/daemon.c \
	src/daemon/daemon.h \
	src/daemon/daemon_state.h \
	src/daemon/duties.c \
	src/daemon/duties.h \
	src/daemon/fleet.c \
	src/daemon/fleet.h \
	src/daemon/handover.c \
	src/daemon/handover.h \
	src/daemon/inheritance.c \
	src/daemon/inheritance.h \
	src/daemon/opening.c \
	src/daemon/opening.h \
	src/daemon/process_metrics.c \
	src/daemon/process_metrics.h \
	src/daemon/reload.c \
	src/daemon/service.c \
	src/daemon/service.h \
	src/daemon/shutdown.c \
	src/daemon/sockets.c \
	src/daemon/spawn.c \
	src/daemon/spawn.h \
	src/daemon/status.c \
	src/daemon/status.h \
	src/daemon/succession.c \
	src/daemon/succession.h \
	src/daemon/worker.c \
	src/daemon/worker.h
