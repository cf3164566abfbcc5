# SPDX-License-Identifier: Apache-2.0
libnexusd_a_SOURCES += \
	src/route/attempts.c \
	src/route/attempts.h \
	src/route/attempts_context.c \
	src/route/attempts_end.c \
	src/route/attempts_exclusion.c \
	src/route/attempts_wait.c \
	src/route/demand.c \
	src/route/demand.h \
	src/route/listing.c \
	src/route/listing.h \
	src/route/model_state.c \
	src/route/model_state.h \
	src/route/queue.c \
	src/route/queue.h \
	src/route/route_table.c \
	src/route/route_table.h \
	src/route/route_table_build.c \
	src/route/strategies.c \
	src/route/strategy.h \
	src/route/strategy_best.c \
	src/route/strategy_best.h \
	src/route/strategy_least_pending.c \
	src/route/strategy_power_of_two.c \
	src/route/strategy_priority_only.c \
	src/route/strategy_random.c \
	src/route/strategy_round_robin.c \
	src/route/strategy_session.c \
	src/route/strategy_smart.c \
	src/route/strategy_weighted.c
