/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The strict judge reads any bytes without harm and says where they are wrong; and whatever names,
 * values and traces come in, what openmetrics.c makes of them satisfies the judge, in both formats.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "metrics/snapshot.h"
#include "tests/openmetrics_check.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { MAX_SETS = 32, MAX_RENDERING = 1 << 22 };

static void require(bool condition)
{
	if (!condition)
		abort();
}

static void judge_any(struct str text, enum exposition format)
{
	struct openmetrics_violation found = openmetrics_check(text, format);
	size_t n_lines = 1;

	for (size_t i = 0; i < text.n; i++)
		n_lines += text.p[i] == '\n';
	require((found.line == 0) == (found.reason == NULL));
	require(found.line <= n_lines);
}

static void judge_rendering(struct registry *registry, enum exposition format)
{
	/* The families that are fed, and one of cells without labels: the others say nothing new.
	 */
	static const bool only[N_METRICS] = {
		[METRIC_REQUESTS] = true,
		[METRIC_TOKENS] = true,
		[METRIC_REQUEST_DURATION] = true,
		[METRIC_GATEWAY_ACTIVE_REQUESTS] = true,
	};
	const struct openmetrics_options options = {.format = format, .only = only};
	struct openmetrics_violation found;
	struct buf out;

	buf_init(&out, MAX_RENDERING);
	require(openmetrics_render(registry, &options, &out) == 0);
	found = openmetrics_check(buf_str(&out), format);
	if (found.line)
		fprintf(stderr, "line %zu: %s\n%.*s\n", found.line, found.reason, (int)out.len,
			out.data);
	require(found.line == 0);
	buf_done(&out);
}

static uint64_t number_of(struct str bytes)
{
	uint64_t number = 0;

	for (size_t i = 0; i < bytes.n; i++)
		number = number << 8 | (uint8_t)bytes.p[i];
	return number >> 1;
}

/* One label set of several families, with values made of the same bytes. */
static void feed(struct registry *registry, struct slab *slab, struct str name, struct str other)
{
	const struct str values[] = {name, other, other};
	const struct series *duration = registry_series(registry, METRIC_REQUEST_DURATION, values);
	const struct exemplar exemplar = {
		{1, number_of(other)}, number_of(name) >> 16, 1 + (number_of(other) >> 24)};

	slab_add(slab, registry_series(registry, METRIC_REQUESTS, values), number_of(name) >> 8);
	slab_observe(slab, registry_series(registry, METRIC_TOKENS, values), number_of(name) >> 8);
	slab_observe(slab, duration, exemplar.value);
	if (duration->has_exemplars)
		slab_set_exemplar(slab, duration, &exemplar);
}

static void round_trip(struct str input)
{
	const struct registry_options options = {
		.raw_labels = input.n && (input.p[0] & 1),
		.clean_names = input.n && (input.p[0] & 2),
		.exemplars = input.n && (input.p[0] & 4),
		.created = input.n && (input.p[0] & 8),
		.max_series = 100,
		.max_series_per_family = 8,
	};
	struct registry *registry = registry_new(&options);
	struct slab *slab = registry ? registry_slab_new(registry) : NULL;
	struct str rest = input, other = STR_LITERAL("a");

	require(slab != NULL);
	for (size_t i = 0; rest.p && i < MAX_SETS; i++) {
		struct str name = str_split(&rest, '\0');

		feed(registry, slab, name, other);
		other = name;
	}
	judge_rendering(registry, EXPOSITION_CLASSIC);
	judge_rendering(registry, EXPOSITION_OPENMETRICS);
	registry_free(registry);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str input = {(const char *)data, size};

	judge_any(input, EXPOSITION_CLASSIC);
	judge_any(input, EXPOSITION_OPENMETRICS);
	round_trip(input);
	return 0;
}
