# SPDX-License-Identifier: Apache-2.0
libnexusd_a_SOURCES += \
	src/base/attr.h \
	src/base/buf.c \
	src/base/buf.h \
	src/base/clock.c \
	src/base/clock.h \
	src/base/hash.c \
	src/base/hash.h \
	src/base/i18n.c \
	src/base/i18n.h \
	src/base/jsonnames.c \
	src/base/jsonnames.h \
	src/base/jsonscan.c \
	src/base/jsonscan.h \
	src/base/jsonstring.c \
	src/base/jsonstring.h \
	src/base/jsonx.c \
	src/base/jsonx.h \
	src/base/list.h \
	src/base/log.c \
	src/base/log.h \
	src/base/map.c \
	src/base/map.h \
	src/base/outcome.h \
	src/base/problem.c \
	src/base/problem.def \
	src/base/problem.h \
	src/base/str.c \
	src/base/str.h \
	src/base/trace.c \
	src/base/trace.h \
	src/base/version.c \
	src/base/version.h
