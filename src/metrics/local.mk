# SPDX-License-Identifier: Apache-2.0
libnexusd_a_SOURCES += \
	src/metrics/bundle.c \
	src/metrics/bundle.h \
	src/metrics/buckets.def \
	src/metrics/catalog.c \
	src/metrics/catalog.def \
	src/metrics/catalog.h \
	src/metrics/distribution.c \
	src/metrics/distribution.h \
	src/metrics/groups.def \
	src/metrics/histogram.c \
	src/metrics/histogram.h \
	src/metrics/label.c \
	src/metrics/label.h \
	src/metrics/provider.c \
	src/metrics/provider.h \
	src/metrics/registry.c \
	src/metrics/registry.h \
	src/metrics/registry_state.h \
	src/metrics/series.c \
	src/metrics/series.h \
	src/metrics/slab.c \
	src/metrics/slab.h \
	src/metrics/snapshot.c \
	src/metrics/snapshot.h \
	src/metrics/transcript.c \
	src/metrics/transcript.h
