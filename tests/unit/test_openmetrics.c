/* SPDX-License-Identifier: Apache-2.0 */
/*
 * With an argument, "classic" or "openmetrics", prints a rendering for another program to judge,
 * with an optional second argument "raw".
 */
#include "export/openmetrics.h"

#include <errno.h>
#include <stdlib.h>

#include "export/decimal.h"
#include "tests/openmetrics_check.h"
#include "tests/tap.h"

#define S(text) STR_LITERAL(text)

static void collect_infos(void *context, provider_emit_fn *emit, void *emitter)
{
	(void)context;
	emit(emitter, (struct str[]){S("llama3:70b"), S("llama3:70b")}, 1);
	emit(emitter, (struct str[]){S("a\"b\\c\nd"), S("a\"b\\c\nd")}, 1);
}

static void collect_uptime(void *context, provider_emit_fn *emit, void *emitter)
{
	(void)context;
	emit(emitter, NULL, 12500000000);
}

static void collect_backends(void *context, provider_emit_fn *emit, void *emitter)
{
	(void)context;
	emit(emitter, NULL, 2);
}

static struct registry *filled_registry(bool raw)
{
	const struct registry_options options = {
		.raw_labels = raw, .max_series = 1000, .max_series_per_family = 100};
	const struct str values[] = {S("llama3:70b"), S("a"), S("200")};
	const struct str tokens[] = {S("llama3:70b"), S("a"), S("prompt")};
	const struct str hostile[] = {S("\"\\\n"), S("a"), S("404")};
	struct registry *registry = registry_new(&options);
	struct slab *slab = registry ? registry_slab_new(registry) : NULL;
	const struct series *duration;

	if (!slab || registry_provide(registry, METRIC_MODEL_INFO, collect_infos, NULL) < 0 ||
	    registry_provide(registry, METRIC_BACKENDS, collect_backends, NULL) < 0 ||
	    registry_provide(registry, METRIC_UPTIME, collect_uptime, NULL) < 0)
		abort();
	slab_add(slab, registry_series(registry, METRIC_REQUESTS, values), 1234567890123456789u);
	slab_add(slab, registry_series(registry, METRIC_REQUESTS, hostile), 1);
	slab_observe(slab, registry_series(registry, METRIC_TOKENS, tokens), 10);
	slab_observe(slab, registry_series(registry, METRIC_TOKENS, tokens), 128001);
	duration = registry_series(registry, METRIC_REQUEST_DURATION, values);
	slab_observe(slab, duration, 100000000);
	slab_observe(slab, duration, 2400000001);
	slab_observe(slab, duration, 400000000000);
	slab_gauge_add(slab, registry_series(registry, METRIC_ACTIVE_STREAMS, NULL), -3);
	return registry;
}

static char *rendering(bool raw, enum exposition format)
{
	struct registry *registry = filled_registry(raw);
	struct buf out;
	char *text;
	size_t n;

	buf_init(&out, 1 << 20);
	if (openmetrics_render(registry, &(struct openmetrics_options){.format = format}, &out) < 0)
		abort();
	text = buf_take(&out, &n);
	if (!text || strlen(text) != n)
		abort();
	buf_done(&out);
	registry_free(registry);
	return text;
}

static const char head[] = "nexus_request_duration_seconds";

static const char *const duration_lines =
	"nexus_request_duration_seconds_bucket{model=\"llama3_70b\",backend=\"a\",le=\"0.1\"} 1\n"
	"nexus_request_duration_seconds_bucket{model=\"llama3_70b\",backend=\"a\",le=\"0.25\"} 1\n"
	"nexus_request_duration_seconds_bucket{model=\"llama3_70b\",backend=\"a\",le=\"0.5\"} 1\n"
	"nexus_request_duration_seconds_bucket{model=\"llama3_70b\",backend=\"a\",le=\"1.0\"} 1\n"
	"nexus_request_duration_seconds_bucket{model=\"llama3_70b\",backend=\"a\",le=\"2.5\"} 2\n"
	"nexus_request_duration_seconds_bucket{model=\"llama3_70b\",backend=\"a\",le=\"5.0\"} 2\n"
	"nexus_request_duration_seconds_bucket{model=\"llama3_70b\",backend=\"a\",le=\"10.0\"} 2\n"
	"nexus_request_duration_seconds_bucket{model=\"llama3_70b\",backend=\"a\",le=\"30.0\"} 2\n"
	"nexus_request_duration_seconds_bucket{model=\"llama3_70b\",backend=\"a\",le=\"60.0\"} 2\n"
	"nexus_request_duration_seconds_bucket{model=\"llama3_70b\",backend=\"a\",le=\"120.0\"} 2\n"
	"nexus_request_duration_seconds_bucket{model=\"llama3_70b\",backend=\"a\",le=\"300.0\"} 2\n"
	"nexus_request_duration_seconds_bucket{model=\"llama3_70b\",backend=\"a\",le=\"+Inf\"} 3\n"
	"nexus_request_duration_seconds_sum{model=\"llama3_70b\",backend=\"a\"} 402.500000001\n"
	"nexus_request_duration_seconds_count{model=\"llama3_70b\",backend=\"a\"} 3\n";

/* In both formats. */
static const char *const sample_lines[] = {
	"\nnexus_requests_total{model=\"llama3_70b\",backend=\"a\",status=\"200\"} "
	"1234567890123456789\n",
	"\nnexus_requests_total{model=\"___\",backend=\"a\",status=\"404\"} 1\n",
	"\nnexus_tokens_total_bucket{model=\"llama3_70b\",backend=\"a\",type=\"prompt\",le=\"10."
	"0\"} "
	"1\n",
	",le=\"128000.0\"} 1\n",
	"\nnexus_tokens_total_bucket{model=\"llama3_70b\",backend=\"a\",type=\"prompt\",le=\"+"
	"Inf\"} "
	"2\n",
	"\nnexus_tokens_total_sum{model=\"llama3_70b\",backend=\"a\",type=\"prompt\"} 128011\n",
	"\nnexus_active_streams -3\n",
	"\nnexus_client_connections 0\n",
	"\nnexus_backends_total 2\n",
	"\nnexus_uptime_seconds 12.5\n",
	"\nnexus_model_info{model=\"llama3_70b\",name=\"llama3:70b\"} 1\n",
	"\nnexus_model_info{model=\"a_b_c_d\",name=\"a\\\"b\\\\c\\nd\"} 1\n",
	"\nnexus_metric_overflow_total{metric=\"nexus_requests_total\"} 0\n",
};

static const char *const classic_lines[] = {
	"# HELP nexus_requests_total Client requests",
	"# TYPE nexus_requests_total counter\nnexus_requests_total{",
	"# HELP nexus_request_duration_seconds Time",
	"# TYPE nexus_request_duration_seconds histogram\nnexus_request_duration_seconds_bucket{",
	"# TYPE nexus_tokens_total histogram\n",
	"# TYPE nexus_backends_total gauge\n",
	"# TYPE nexus_model_info gauge\n",
	"# TYPE nexus_fallbacks_total counter\n# HELP",
};

static const char *const openmetrics_lines[] = {
	"# TYPE nexus_requests counter\n# HELP nexus_requests Client",
	"# UNIT nexus_request_duration_seconds seconds\n# HELP nexus_request_duration_seconds T",
	"# TYPE nexus_tokens_total histogram\n# HELP nexus_tokens_total Tokens",
	"# TYPE nexus_backends_total gauge\n# HELP",
	"# TYPE nexus_model info\n# HELP nexus_model ",
	"# TYPE nexus_uptime_seconds gauge\n# UNIT nexus_uptime_seconds seconds\n# HELP",
};

static void test_judge(const char *text, enum exposition format, const char *where)
{
	struct openmetrics_violation found = openmetrics_check(str_of(text), format);

	if (!ok(found.line == 0, "%s: the strict judge finds nothing", where))
		printf("#   line %zu: %s\n", found.line, found.reason);
}

static void test_lines(const char *text, const char *const *lines, size_t n, const char *where)
{
	for (size_t i = 0; i < n; i++)
		if (!ok(strstr(text, lines[i]) != NULL, "%s: line %zu is there", where, i))
			printf("#   want \"%s\"\n", lines[i]);
}

/* The lines that are not metadata, malloc'ed. */
static char *samples_of(const char *text)
{
	char *samples = calloc(1, strlen(text) + 1), *end = samples;

	if (!samples)
		abort();
	while (*text) {
		const char *line_end = strchr(text, '\n');
		size_t n = (size_t)(line_end - text) + 1;

		if (*text != '#') {
			memcpy(end, text, n);
			end += n;
		}
		text += n;
	}
	return samples;
}

#define N_LINES(lines) (sizeof(lines) / sizeof((lines)[0]))

static void test_renderings(void)
{
	char *classic = rendering(false, EXPOSITION_CLASSIC);
	char *openmetrics = rendering(false, EXPOSITION_OPENMETRICS);
	char *raw = rendering(true, EXPOSITION_CLASSIC);
	char *a = samples_of(classic), *b = samples_of(openmetrics);
	const char *at = strstr(classic, "\nnexus_request_duration_seconds_bucket");

	test_lines(classic, sample_lines, N_LINES(sample_lines), "samples");
	test_lines(classic, classic_lines, N_LINES(classic_lines), "classic metadata");
	test_lines(openmetrics, openmetrics_lines, N_LINES(openmetrics_lines),
		   "OpenMetrics metadata");
	ok(at && strncmp(at + 1, duration_lines, strlen(duration_lines)) == 0,
	   "a whole histogram of %s", head);
	is_text(b, a, "sample lines are the same in both formats");
	ok(strstr(classic, "EOF") == NULL && classic[strlen(classic) - 1] == '\n',
	   "classic ends with a line feed");
	ok(strcmp(openmetrics + strlen(openmetrics) - 6, "# EOF\n") == 0, "OpenMetrics with EOF");
	ok(strstr(classic, "UNIT") == NULL, "classic has no units");
	ok(strstr(raw, "{model=\"llama3:70b\",backend=\"a\",status=\"200\"}") != NULL, "raw names");
	ok(strstr(raw, "{model=\"\\\"\\\\\\n\",backend=\"a\",status=\"404\"} 1\n") != NULL,
	   "are escaped");
	test_judge(classic, EXPOSITION_CLASSIC, "classic");
	test_judge(openmetrics, EXPOSITION_OPENMETRICS, "OpenMetrics");
	test_judge(raw, EXPOSITION_CLASSIC, "raw names");
	free(classic);
	free(openmetrics);
	free(raw);
	free(a);
	free(b);
}

static void set_exemplar(struct slab *slab, const struct series *series, uint64_t value,
			 uint64_t low, uint64_t unix_msec)
{
	const struct exemplar exemplar = {{0xabc, low}, value, unix_msec};

	slab_observe(slab, series, value);
	slab_set_exemplar(slab, series, &exemplar);
}

static char *text_of(struct registry *registry, enum exposition format)
{
	const struct openmetrics_options options = {.format = format};
	struct buf out;
	char *text;
	size_t n;

	buf_init(&out, 1 << 20);
	if (openmetrics_render(registry, &options, &out) < 0 || !(text = buf_take(&out, &n)))
		abort();
	buf_done(&out);
	return text;
}

static const char *const exemplar_lines[] = {
	",le=\"0.1\"} 1\n",
	",le=\"0.25\"} 3 # {trace_id=\"0000000000000abc0000000000000002\"} 0.2 1700000000.5\n",
	"\nnexus_request_duration_seconds_created{model=\"m\",backend=\"a\"} ",
	"\nnexus_fallbacks_created{from_model=\"m\",to_model=\"a\"} ",
};

static void test_beyond_classic(void)
{
	const struct registry_options options = {.max_series = 1000,
						 .max_series_per_family = 100,
						 .exemplars = true,
						 .created = true};
	const struct str values[] = {S("m"), S("a")};
	struct registry *registry = registry_new(&options);
	struct slab *one = registry ? registry_slab_new(registry) : NULL;
	struct slab *other = registry ? registry_slab_new(registry) : NULL;
	const struct series *series;
	char *classic, *text;

	if (!one || !other)
		abort();
	series = registry_series(registry, METRIC_REQUEST_DURATION, values);
	registry_series(registry, METRIC_FALLBACKS, values);
	ok(series->has_exemplars &&
		   !registry_series(registry, METRIC_INTER_CHUNK, values)->has_exemplars,
	   "some families have exemplars");
	slab_observe(one, series, 1);
	set_exemplar(one, series, 200000000, 1, 1600000000000);
	set_exemplar(other, series, 200000000, 2, 1700000000500);
	set_exemplar(one, series, 400000000000, 3, 1500000000000);
	set_exemplar(one, series, 400000000000, 4, 1700000000000);
	text = text_of(registry, EXPOSITION_OPENMETRICS);
	classic = text_of(registry, EXPOSITION_CLASSIC);
	test_lines(text, exemplar_lines, N_LINES(exemplar_lines),
		   "exemplars, the newest of all slabs, and births");
	ok(strstr(text, "} 5 # {trace_id=\"0000000000000abc0000000000000004\"} 400.0 "
			"1700000000.0\n"),
	   "and of one slab");
	test_judge(text, EXPOSITION_OPENMETRICS, "with all that OpenMetrics can have");
	test_judge(classic, EXPOSITION_CLASSIC, "classic");
	ok(!strstr(classic, "trace_id") && !strstr(classic, "_created"), "which has none of it");
	registry_set_render_ns(registry, 1500000000);
	free(text);
	text = text_of(registry, EXPOSITION_CLASSIC);
	ok(strstr(text, "\nnexus_metrics_render_seconds 1.5\n"), "the last rendering took so long");
	free(text);
	free(classic);
	registry_free(registry);
}

static void test_ceiling(void)
{
	const struct openmetrics_options options = {.format = EXPOSITION_OPENMETRICS};
	struct registry *registry = filled_registry(false);
	struct buf out;
	size_t n_met = 0, n = 0;

	for (size_t max = 0; max < 3000; max += 37, n++) {
		buf_init(&out, max);
		n_met +=
			openmetrics_render(registry, &options, &out) == -EMSGSIZE && out.len <= max;
		buf_done(&out);
	}
	is_u64(n_met, n, "every ceiling is met with -EMSGSIZE");
	registry_free(registry);
}

static void test_pieces(void)
{
	const struct openmetrics_options options = {.format = EXPOSITION_OPENMETRICS};
	struct registry *registry = filled_registry(false);
	char *whole = text_of(registry, EXPOSITION_OPENMETRICS);
	struct openmetrics *rendering;
	struct buf out;
	size_t n_pieces = 0, longest = 0;
	int r = 1;

	/* As it was when the whole was made, which tells how long the one before took. */
	registry_set_render_ns(registry, 0);
	rendering = openmetrics_new(registry, &options);
	buf_init(&out, 1 << 20);
	for (; rendering && r > 0; n_pieces++) {
		size_t len = out.len;

		r = openmetrics_next(rendering, &out, 100);
		if (out.len - len > longest)
			longest = out.len - len;
	}
	ok(r == 0 && n_pieces > 50, "the last piece says so: %zu", n_pieces);
	ok(longest < 8192, "none is much longer than asked for: %zu", longest);
	ok(str_eq(buf_str(&out), str_of(whole)), "together they are the whole");
	free(whole);
	rendering = openmetrics_free(rendering);
	buf_done(&out);
	registry_free(registry);
}

static void test_decimal(void)
{
	static const struct {
		uint64_t ns;
		const char *want;
	} seconds[] = {
		{0, "0.0"},
		{1, "0.000000001"},
		{10, "0.00000001"},
		{100000000, "0.1"},
		{999999999, "0.999999999"},
		{1000000000, "1.0"},
		{1500000000, "1.5"},
		{12000000000, "12.0"},
		{100000000001, "100.000000001"},
		{UINT64_MAX, "18446744073.709551615"},
	};
	static const int64_t integers[] = {0,         1,       9,    10,        99,
					   100,       -1,      -10,  123456789, INT64_MAX,
					   INT64_MIN, 1000000, 4095, 99999,     100000};
	char text[DECIMAL_MAX + 1], want[DECIMAL_MAX + 1];

	for (size_t i = 0; i < sizeof(seconds) / sizeof(seconds[0]); i++) {
		*decimal_nano(text, seconds[i].ns) = '\0';
		is_text(text, seconds[i].want, "%s seconds", seconds[i].want);
	}
	for (size_t i = 0; i < sizeof(integers) / sizeof(integers[0]); i++) {
		*decimal_i64(text, integers[i]) = '\0';
		snprintf(want, sizeof(want), "%lld", (long long)integers[i]);
		is_text(text, want, "the integer %s", want);
	}
	*decimal_u64(text, UINT64_MAX) = '\0';
	is_text(text, "18446744073709551615", "the largest one");
}

int main(int argc, char **argv)
{
	if (argc > 1) {
		char *text = rendering(argc > 2, strcmp(argv[1], "classic") ? EXPOSITION_OPENMETRICS
									    : EXPOSITION_CLASSIC);

		fputs(text, stdout);
		free(text);
		return 0;
	}
	test_renderings();
	test_beyond_classic();
	test_ceiling();
	test_pieces();
	test_decimal();
	return tap_done();
}
