# SPDX-License-Identifier: Apache-2.0
libnexusd_a_SOURCES += \
	src/loop/loop.c \
	src/loop/loop.h \
	src/loop/mailbox.c \
	src/loop/mailbox.h \
	src/loop/resolver.c \
	src/loop/resolver.h \
	src/loop/waiter.c \
	src/loop/waiter.h
