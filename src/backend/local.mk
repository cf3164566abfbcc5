# SPDX-License-Identifier: Apache-2.0
libnexusd_a_SOURCES += \
	src/backend/address_book.c \
	src/backend/address_book.h \
	src/backend/address_list.c \
	src/backend/address_list.h \
	src/backend/backend.c \
	src/backend/backend.h \
	src/backend/backends.c \
	src/backend/backends.h \
	src/backend/breaker.c \
	src/backend/breaker.h
