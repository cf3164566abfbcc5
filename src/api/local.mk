# SPDX-License-Identifier: Apache-2.0
libnexusd_a_SOURCES += \
	src/api/answer.c \
	src/api/api.c \
	src/api/api.h \
	src/api/api_admin.c \
	src/api/api_admin_backends.c \
	src/api/api_health.c \
	src/api/api_metrics.c \
	src/api/api_models.c \
	src/api/api_state.h \
	src/api/attempt.c \
	src/api/chain.c \
	src/api/control.c \
	src/api/control.h \
	src/api/pieces.c \
	src/api/pieces.h \
	src/api/forward.c \
	src/api/forward.h \
	src/api/model_request.c \
	src/api/model_request.h \
	src/api/record.c \
	src/api/record.h \
	src/api/relay.c \
	src/api/relay.h \
	src/api/relay_state.h \
	src/api/request.c \
	src/api/request.h \
	src/api/router.c \
	src/api/router.h \
	src/api/routes.def \
	src/api/stats_json.c \
	src/api/stats_json.h \
	src/api/stats_tally.c \
	src/api/stats_tally.h \
	src/api/stream.c \
	src/api/usage.c \
	src/api/usage.h
