# SPDX-License-Identifier: Apache-2.0
libnexusd_a_SOURCES += \
	src/http/acceptor.c \
	src/http/acceptor.h \
	src/http/census.c \
	src/http/census.h \
	src/http/connection.c \
	src/http/connection.h \
	src/http/exchange.c \
	src/http/exchange.h \
	src/http/guard.c \
	src/http/guard.h \
	src/http/listener.c \
	src/http/listener.h \
	src/http/reply.c \
	src/http/server.c \
	src/http/server.h \
	src/http/tls.c \
	src/http/tls.h
