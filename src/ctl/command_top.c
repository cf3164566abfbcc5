/* SPDX-License-Identifier: Apache-2.0 */
/* nexusctl top: /v1/stats again and again, as rates. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/i18n.h"
#include "ctl/gateway.h"
#include "ctl/human.h"
#include "ctl/stats_view.h"
#include "ctl/terminal.h"
#include "ctl/visible.h"

#define FRAME_MAX_BYTES (4u << 20)
#define TIMEOUT_NS      (5 * NS_PER_SEC)
/* Rates should not be waited for. */
#define FIRST_INTERVAL_NS (NS_PER_SEC / 2)
#define HEAD_LINES        3 /* two lines and a blank one */
#define PERCENT           100.0

struct top {
	const struct ctl *ctl;
	struct screen screen;
	struct gateway *gateway;
	struct response answer;
	struct stats_view view;
	uint64_t taken_ns; /* view.now */
};

static void take_document(struct top *top, struct json_object *document)
{
	uint64_t now = clock_monotonic_ns();

	jsonx_free(top->view.before);
	top->view.before = top->view.now;
	top->view.seconds = (double)(now - top->taken_ns) / (double)NS_PER_SEC;
	top->view.now = document;
	top->taken_ns = now;
}

/* A failure leaves what is shown, and is shown. */
static void look(struct top *top)
{
	static const struct gateway_request request = {
		.method = "GET", .path = "/v1/stats", .timeout_ns = TIMEOUT_NS};
	struct json_object *document = NULL;

	top->answer.status = CTL_OK;
	if (!top->gateway)
		top->gateway = gateway_new(top->ctl, &top->answer);
	if (top->gateway && gateway_ask(top->gateway, &request, &top->answer) == CTL_OK) {
		document = jsonx_parse(buf_str(&top->answer.body));
		if (document)
			take_document(top, document);
		else
			gateway_fail_json(top->gateway, &top->answer);
	}
	/* It may come back elsewhere. */
	if (top->answer.status != CTL_OK)
		top->gateway = gateway_free(top->gateway);
}

static int write_line(const struct top *top, enum shade shade, struct str text, struct buf *out)
{
	struct buf line;
	int r;

	buf_init(&line, FRAME_MAX_BYTES);
	r = visible_append(&line, text, false);
	if (r == 0)
		r = shade_append(out, &top->screen, shade,
				 visible_cut(buf_str(&line), top->screen.columns));
	buf_done(&line);
	return r < 0 ? r : buf_append(out, "\n", 1);
}

static int write_head(const struct top *top, struct buf *out)
{
	struct json_object *now = top->view.now;
	struct str version = document_text(now, "version");
	char up[HUMAN_MAX], text[1024];

	snprintf(text, sizeof(text), _("nexusd %.*s, running for %s"), (int)version.n,
		 version.n ? version.p : "",
		 human_duration(document_u64(now, "uptime_seconds"), up));
	return write_line(top, SHADE_BOLD, str_of(text), out);
}

static uint64_t count_running(struct json_object *document)
{
	struct json_object *backends = jsonx_get(document, "backends");
	uint64_t n = 0;

	for (size_t i = 0; i < jsonx_length(backends); i++)
		n += document_u64(jsonx_at(backends, i), "in_flight");
	return n;
}

static double sum_of_tokens(struct json_object *document)
{
	struct json_object *models = jsonx_get(document, "models");
	double sum = 0;

	for (size_t i = 0; i < jsonx_length(models); i++)
		sum += document_number(jsonx_at(models, i), "tokens.prompt") +
		       document_number(jsonx_at(models, i), "tokens.completion");
	return sum;
}

static int write_rates(const struct top *top, struct buf *out)
{
	const struct stats_view *view = &top->view;
	double n = stats_view_grown(view->now, view->before, "requests.total");
	double n_errors = stats_view_grown(view->now, view->before, "requests.errors");
	double tokens = sum_of_tokens(view->now) - sum_of_tokens(view->before);
	double seconds = view->seconds;
	char text[1024];

	if (top->answer.status != CTL_OK)
		return write_line(top, SHADE_BAD, str_of(top->answer.error), out);
	/* At first all is since the start. */
	if (!view->before)
		seconds = document_number(view->now, "uptime_seconds") + 1;
	snprintf(text, sizeof(text),
		 _("%.1f requests/s, %.1f %% failed, %.1f tokens/s, %llu in flight"), n / seconds,
		 n > 0 ? PERCENT * n_errors / n : 0, tokens > 0 ? tokens / seconds : 0,
		 (unsigned long long)count_running(view->now));
	return write_line(top, SHADE_NONE, str_of(text), out);
}

/* Both tables share what is left of the screen. */
static int write_tables(const struct top *top, struct buf *out)
{
	size_t used = HEAD_LINES + 3; /* with two titles and a blank line */
	size_t left = top->screen.rows > used ? top->screen.rows - used : 0;
	struct table backends, models;
	size_t n_backends = jsonx_length(jsonx_get(top->view.now, "backends"));
	size_t n_models = jsonx_length(jsonx_get(top->view.now, "models"));
	size_t for_models = n_models < left / 2 ? n_models : left / 2;
	int r;

	if (n_backends > left - for_models)
		n_backends = left - for_models;
	stats_view_backends(&top->view, &backends);
	stats_view_models(&top->view, &models);
	r = table_write(&backends, &top->screen, n_backends, out);
	if (r == 0)
		r = buf_append(out, "\n", 1);
	if (r == 0)
		r = table_write(&models, &top->screen, left - n_backends, out);
	table_done(&backends);
	table_done(&models);
	return r;
}

static int draw(struct top *top)
{
	struct buf frame;
	int r;

	ctl_measure(&top->screen);
	buf_init(&frame, FRAME_MAX_BYTES);
	r = write_head(top, &frame);
	if (r == 0)
		r = write_rates(top, &frame);
	if (r == 0)
		r = buf_append(&frame, "\n", 1);
	if (r == 0)
		r = write_tables(top, &frame);
	if (r == 0)
		r = terminal_draw(&top->screen, buf_str(&frame));
	buf_done(&frame);
	return r;
}

static int watch(struct top *top, struct terminal *terminal)
{
	uint64_t due_ns = clock_monotonic_ns() + FIRST_INTERVAL_NS;
	enum terminal_event event = TERMINAL_RESIZED;
	int r = 0;

	while (r == 0 && event != TERMINAL_QUIT) {
		if (event == TERMINAL_DUE) {
			look(top);
			due_ns = clock_monotonic_ns() + top->ctl->interval_ns;
		}
		r = draw(top);
		event = terminal_wait(terminal, due_ns);
	}
	return r;
}

static int run(struct top *top)
{
	struct terminal terminal;
	int r = terminal_enter(&terminal);

	if (r == -ENOTTY)
		return ctl_fail(CTL_USAGE, _("top needs a terminal; stats writes once"));
	if (r == 0) {
		r = watch(top, &terminal);
		terminal_leave(&terminal);
	}
	return r < 0 ? ctl_fail(CTL_FAILED, _("cannot write: %s"), strerror(-r)) : CTL_OK;
}

int command_top(struct ctl *ctl)
{
	struct top top = {.ctl = ctl, .screen = ctl->screen};
	int r;

	if (ctl->json)
		return ctl_fail(CTL_USAGE, _("top writes no JSON; stats does"));
	response_init(&top.answer);
	look(&top);
	/* What is wrong at the beginning is better said than shown. */
	if (top.answer.status == CTL_OK)
		r = run(&top);
	else
		r = response_say(&top.answer);
	gateway_free(top.gateway);
	jsonx_free(top.view.before);
	jsonx_free(top.view.now);
	response_done(&top.answer);
	return r;
}
