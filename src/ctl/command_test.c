/* SPDX-License-Identifier: Apache-2.0 */
/* nexusctl test: one completion through the running gateway, with the time of each phase. */
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/i18n.h"
#include "ctl/completion_stream.h"
#include "ctl/document.h"
#include "ctl/gateway.h"
#include "ctl/human.h"
#include "ctl/visible.h"

#define OUT_MAX_BYTES (1u << 20)
#define TIMEOUT_NS    (600 * NS_PER_SEC)
#define PROMPT        "Say hello in one short sentence."
#define MAX_TOKENS    64
#define DEMO_MODEL    STR_LITERAL("demo")

static const struct column pair_columns[] = {{NULL, false}, {NULL, false}};

struct trial {
	char model[512];
	char backend[128], server_timing[256];
	struct completion_stream stream;
	struct gateway_times times;
};

static void copy(char *out, size_t size, struct str text)
{
	size_t n = utf8_cut(text, size - 1);

	memcpy(out, text.p, n);
	out[n] = '\0';
}

static bool take_piece(void *context, struct str bytes)
{
	struct trial *trial = context;

	completion_stream_take(&trial->stream, bytes, clock_monotonic_ns());
	return !trial->stream.is_odd;
}

static void take_header(void *context, struct str name, struct str value)
{
	struct trial *trial = context;

	if (str_eq_nocase(name, STR_LITERAL("X-Nexus-Backend")))
		copy(trial->backend, sizeof(trial->backend), value);
	else if (str_eq_nocase(name, STR_LITERAL("Server-Timing")))
		copy(trial->server_timing, sizeof(trial->server_timing), value);
}

/* Unless one is named: the only one, or demo, which costs nothing. */
static int choose_model(const struct ctl *ctl, struct trial *trial)
{
	struct json_object *document, *models;
	struct str found = {0};
	int r;

	if (ctl->n_arguments) {
		copy(trial->model, sizeof(trial->model), str_of(ctl->arguments[0]));
		return CTL_OK;
	}
	r = gateway_get(ctl, "/v1/models", &document);
	if (r != CTL_OK)
		return r;
	models = jsonx_get(document, "data");
	for (size_t i = 0; i < jsonx_length(models); i++) {
		struct str id = document_text(jsonx_at(models, i), "id");

		if (jsonx_length(models) == 1 || str_eq(id, DEMO_MODEL))
			found = id;
	}
	if (found.n)
		copy(trial->model, sizeof(trial->model), found);
	else
		r = ctl_fail(CTL_USAGE, _("name the model to be tried; models lists them"));
	jsonx_free(document);
	return r;
}

static int write_body(const struct trial *trial, struct buf *body)
{
	struct jsonw w;

	jsonw_begin(&w, body);
	jsonw_object(&w, NULL);
	jsonw_string(&w, "model", str_of(trial->model));
	jsonw_array(&w, "messages");
	jsonw_object(&w, NULL);
	jsonw_string(&w, "role", STR_LITERAL("user"));
	jsonw_string(&w, "content", STR_LITERAL(PROMPT));
	jsonw_object_end(&w);
	jsonw_array_end(&w);
	jsonw_u64(&w, "max_tokens", MAX_TOKENS);
	jsonw_bool(&w, "stream", true);
	jsonw_raw(&w, "stream_options", STR_LITERAL("{\"include_usage\":true}"));
	jsonw_object_end(&w);
	return w.error ? w.error : buf_append(body, "", 1);
}

/* What nexusd says of a stream that broke comes before the break. */
static int judge(const struct trial *trial, const struct response *answer)
{
	const struct completion_stream *stream = &trial->stream;

	if (stream->error[0])
		return ctl_fail(CTL_FAILED, "%s", stream->error);
	if (answer->status != CTL_OK)
		return response_say(answer);
	if (!stream->is_done)
		return ctl_fail(CTL_FAILED, _("the answer of %s ended before it was whole"),
				trial->model);
	return CTL_OK;
}

static int ask(const struct ctl *ctl, struct trial *trial, const char *body)
{
	const struct gateway_request request = {
		.method = "POST",
		.path = "/v1/chat/completions",
		.body = body,
		.piece = take_piece,
		.header = take_header,
		.context = trial,
		.timeout_ns = TIMEOUT_NS,
	};
	struct gateway *gateway;
	struct response answer;
	int r;

	response_init(&answer);
	gateway = gateway_new(ctl, &answer);
	completion_stream_init(&trial->stream, clock_monotonic_ns());
	if (gateway && gateway_ask(gateway, &request, &answer) == CTL_OK)
		gateway_last_times(gateway, &trial->times);
	r = judge(trial, &answer);
	gateway_free(gateway);
	response_done(&answer);
	return r;
}

static double tokens_per_second(const struct trial *trial)
{
	uint64_t first_ns = trial->stream.first_token_ns, end_ns = trial->times.total_ns;

	/* Two clocks: of an answer that comes all at once the end may be the earlier one. */
	if (first_ns == 0 || end_ns <= first_ns || trial->stream.completion_tokens < 2)
		return 0;
	return (double)(trial->stream.completion_tokens - 1) * (double)NS_PER_SEC /
	       (double)(end_ns - first_ns);
}

static void line_of_time(struct table *table, const char *name, uint64_t ns)
{
	char text[HUMAN_MAX];

	table_text(table, SHADE_BOLD, str_of(name));
	table_text(table, SHADE_NONE, ns ? str_of(human_ns(ns, text)) : STR_LITERAL("-"));
}

static void line(struct table *table, const char *name, struct str text)
{
	table_text(table, SHADE_BOLD, str_of(name));
	table_text(table, SHADE_NONE, text.n ? text : STR_LITERAL("-"));
}

static void fill(struct table *table, const struct trial *trial)
{
	const struct completion_stream *stream = &trial->stream;

	line(table, _("model"), str_of(trial->model));
	line(table, _("backend"), str_of(trial->backend));
	line(table, _("answer"), buf_str(&stream->text));
	line_of_time(table, _("connected"), trial->times.connected_ns);
	line_of_time(table, _("answer began"), trial->times.head_ns);
	line_of_time(table, _("first token"), stream->first_token_ns);
	line_of_time(table, _("done"), trial->times.total_ns);
	line(table, _("server timing"), str_of(trial->server_timing));
	table_text(table, SHADE_BOLD, str_of(_("tokens")));
	table_printf(table, SHADE_NONE, _("%llu prompt, %llu completion, %.1f/s"),
		     (unsigned long long)stream->prompt_tokens,
		     (unsigned long long)stream->completion_tokens, tokens_per_second(trial));
}

static void write_msec(struct jsonw *w, const char *name, uint64_t ns)
{
	char text[HUMAN_MAX];

	snprintf(text, sizeof(text), "%.3f", (double)ns / (double)NS_PER_MSEC);
	jsonw_raw(w, name, ns ? str_of(text) : STR_LITERAL("null"));
}

static int write_json(const struct trial *trial, struct buf *out)
{
	struct jsonw w;

	jsonw_begin(&w, out);
	jsonw_object(&w, NULL);
	jsonw_string(&w, "model", str_of(trial->model));
	jsonw_string(&w, "backend", str_of(trial->backend));
	jsonw_string(&w, "answer", buf_str(&trial->stream.text));
	write_msec(&w, "connected_ms", trial->times.connected_ns);
	write_msec(&w, "answer_began_ms", trial->times.head_ns);
	write_msec(&w, "first_token_ms", trial->stream.first_token_ns);
	write_msec(&w, "done_ms", trial->times.total_ns);
	jsonw_u64(&w, "prompt_tokens", trial->stream.prompt_tokens);
	jsonw_u64(&w, "completion_tokens", trial->stream.completion_tokens);
	jsonw_object_end(&w);
	return w.error ? w.error : buf_append(out, "\n", 1);
}

static int print(const struct ctl *ctl, const struct trial *trial)
{
	struct buf out, json;
	struct table table;
	int r;

	buf_init(&out, OUT_MAX_BYTES);
	buf_init(&json, OUT_MAX_BYTES);
	table_init(&table, pair_columns, ARRAY_SIZE(pair_columns));
	if (ctl->json) {
		r = write_json(trial, &json);
		if (r == 0)
			r = visible_append(&out, buf_str(&json), true);
	} else {
		fill(&table, trial);
		r = table_write(&table, &ctl->screen, SIZE_MAX, &out);
	}
	table_done(&table);
	buf_done(&json);
	return ctl_print(&out, r);
}

int command_test(struct ctl *ctl)
{
	struct trial *trial = calloc(1, sizeof(*trial));
	struct buf body;
	int r;

	if (!trial)
		return ctl_no_memory();
	buf_init(&body, OUT_MAX_BYTES);
	r = choose_model(ctl, trial);
	if (r == CTL_OK && write_body(trial, &body) < 0)
		r = ctl_no_memory();
	if (r == CTL_OK)
		r = ask(ctl, trial, body.data);
	if (r == CTL_OK)
		r = print(ctl, trial);
	completion_stream_done(&trial->stream);
	buf_done(&body);
	free(trial);
	return r;
}
