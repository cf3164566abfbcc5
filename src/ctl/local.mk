# SPDX-License-Identifier: Apache-2.0
# In the library, too, so that tests can link it; nexusd takes none of it.
libnexusd_a_SOURCES += \
	src/ctl/admin_place.c \
	src/ctl/admin_place.h \
	src/ctl/command_config.c \
	src/ctl/command_fleet.c \
	src/ctl/command_metrics.c \
	src/ctl/command_process.c \
	src/ctl/command_status.c \
	src/ctl/command_test.c \
	src/ctl/command_top.c \
	src/ctl/commands.def \
	src/ctl/completion_stream.c \
	src/ctl/completion_stream.h \
	src/ctl/ctl.c \
	src/ctl/ctl.h \
	src/ctl/document.c \
	src/ctl/document.h \
	src/ctl/gateway.c \
	src/ctl/gateway.h \
	src/ctl/human.c \
	src/ctl/human.h \
	src/ctl/libconfig_text.c \
	src/ctl/libconfig_text.h \
	src/ctl/response.c \
	src/ctl/response.h \
	src/ctl/stats_view.c \
	src/ctl/stats_view.h \
	src/ctl/table.c \
	src/ctl/table.h \
	src/ctl/terminal.c \
	src/ctl/terminal.h \
	src/ctl/visible.c \
	src/ctl/visible.h
