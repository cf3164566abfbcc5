# SPDX-License-Identifier: Apache-2.0
libnexusd_a_SOURCES += \
	src/config/admin_socket.c \
	src/config/admin_socket.h \
	src/config/config.c \
	src/config/config.h \
	src/config/config_check.c \
	src/config/config_check.h \
	src/config/config_draft.c \
	src/config/config_draft.h \
	src/config/config_error.c \
	src/config/config_error.h \
	src/config/config_expand.c \
	src/config/config_expand.h \
	src/config/config_json.c \
	src/config/config_json.h \
	src/config/config_load.c \
	src/config/config_text.c \
	src/config/config_text.h \
	src/config/config_value.c \
	src/config/config_value.h \
	src/config/endpoint.c \
	src/config/endpoint.h \
	src/config/schema.c \
	src/config/schema.def \
	src/config/schema.h \
	src/config/schema_field.h \
	src/config/schema_assignment.h \
	src/config/schema_lists.c \
	src/config/schema_object.c \
	src/config/schema_object.h \
	src/config/schema_set.c \
	src/config/schema_set.h \
	src/config/secrets.c \
	src/config/secrets.h
