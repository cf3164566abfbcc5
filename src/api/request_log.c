/* SPDX-License-Identifier: Apache-2.0 */
#include "api/request_log.h"

#include <stdio.h>

#include "api/relay_state.h"
#include "api/request.h"
#include "base/clock.h"
#include "base/log.h"

/* How often it is told how many were withheld. */
#define REPORT_NS NS_PER_SEC

/* Fields of one message, with room for what is not a text of the request. */
struct field_list {
	struct log_field fields[LOG_MAX_FIELDS];
	char texts[LOG_MAX_FIELDS][40];
	size_t n;
};

static void tell_withheld(struct request_log *log)
{
	char count[24];
	const struct log_field field = {NEXUSD_FIELD_COUNT, count};

	if (log->n_withheld == 0)
		return;
	snprintf(count, sizeof(count), "%llu", (unsigned long long)log->n_withheld);
	log->n_withheld = 0;
	log_event_with(MESSAGE_REQUESTS_WITHHELD, &field, 1,
		       "%s more requests failed or were slow, which is not logged one by one",
		       count);
}

static void report_due(struct timer *timer)
{
	tell_withheld(container_of(timer, struct request_log, report));
}

void request_log_init(struct request_log *log, struct loop *loop, struct registry *registry,
		      struct slab *slab)
{
	log->loop = loop;
	log->slab = slab;
	log->withheld = registry_series(registry, METRIC_LOG_WITHHELD, NULL);
	timer_init(&log->report, report_due);
}

void request_log_done(struct request_log *log)
{
	loop_timer_clear(log->loop, &log->report);
	tell_withheld(log);
}

/* `rate` a second, and as many at once. */
static bool take_turn(struct request_log *log, uint64_t now_ns, uint64_t rate)
{
	uint64_t cost_ns = NS_PER_SEC / rate;
	uint64_t spent_ns = log->spent_ns > now_ns ? log->spent_ns : now_ns;

	if (spent_ns - now_ns > NS_PER_SEC - cost_ns)
		return false;
	log->spent_ns = spent_ns + cost_ns;
	return true;
}

static void withhold(struct request_log *log, uint64_t now_ns)
{
	log->n_withheld++;
	slab_add(log->slab, log->withheld, 1);
	/* Without memory for the timer the next one sets it. */
	if (!timer_is_set(&log->report))
		(void)!loop_timer_set(log->loop, &log->report, now_ns + REPORT_NS);
}

/* Not the client's doing: broken here or at a backend, or refused by it for nexusd's key. */
static bool has_failed(const struct request *request)
{
	return request->status >= 500 || request->error_type == ERROR_TYPE_BACKEND_ERROR;
}

/* How long the client waited: for the first content of a stream, else for the end. */
static uint64_t wait_ns(const struct request *request, uint64_t end_ns)
{
	const struct exchange *exchange = request->exchange;

	return (exchange->marked_ns ? exchange->marked_ns : end_ns) - exchange->arrival_ns;
}

static bool is_notable(const struct request *request, uint64_t end_ns)
{
	const struct config *config = request->table->config;
	enum config_log_requests which = config->log.requests;

	return which != LOG_REQUESTS_NONE &&
	       (has_failed(request) ||
		(which != LOG_REQUESTS_ERRORS && wait_ns(request, end_ns) >= config->log.slow));
}

/* Tells whether it is logged, and takes its turn or its place in the sample for that. */
static bool admit(struct request_log *log, const struct request *request, uint64_t end_ns)
{
	const struct config *config = request->table->config;

	if (config->log.requests == LOG_REQUESTS_ALL)
		return true;
	if (!is_notable(request, end_ns))
		return config->log.requests == LOG_REQUESTS_SAMPLED &&
		       log->n_sampled++ % config->log.sample == 0;
	if (take_turn(log, end_ns, config->log.rate))
		return true;
	withhold(log, end_ns);
	return false;
}

static void add_text(struct field_list *list, const char *name, const char *value)
{
	list->fields[list->n++] = (struct log_field){name, value};
}

static void add_number(struct field_list *list, const char *name, uint64_t value)
{
	char *text = list->texts[list->n];

	snprintf(text, sizeof(list->texts[0]), "%llu", (unsigned long long)value);
	add_text(list, name, text);
}

static void add_trace(struct field_list *list, struct trace_id trace)
{
	char *text = list->texts[list->n];

	if ((trace.high | trace.low) == 0)
		return;
	snprintf(text, sizeof(list->texts[0]), "%016llx%016llx", (unsigned long long)trace.high,
		 (unsigned long long)trace.low);
	add_text(list, NEXUSD_FIELD_TRACE_ID, text);
}

static void add_usage(struct field_list *list, const struct usage *usage)
{
	if (!usage->seen)
		return;
	add_number(list, NEXUSD_FIELD_TOKENS_PROMPT, usage->prompt_tokens);
	add_number(list, NEXUSD_FIELD_TOKENS_COMPLETION, usage->completion_tokens);
	if (usage->cached_prompt_tokens)
		add_number(list, NEXUSD_FIELD_TOKENS_CACHED, usage->cached_prompt_tokens);
	if (usage->reasoning_tokens)
		add_number(list, NEXUSD_FIELD_TOKENS_REASONING, usage->reasoning_tokens);
}

static const char *outcome_of(const struct request *request)
{
	if (request->error_type != ERROR_TYPE_NONE)
		return error_type_name(request->error_type);
	return request->status < 400 ? "ok" : "other";
}

static void add_fields(struct field_list *list, struct request *request, uint64_t end_ns)
{
	const struct exchange *exchange = request->exchange;
	const struct relay *relay = request->relay;

	add_text(list, NEXUSD_FIELD_REQUEST_ID, request->id);
	add_trace(list, request_trace(request));
	add_text(list, NEXUSD_FIELD_ROUTE, request->route->path);
	add_text(list, NEXUSD_FIELD_MODEL, request->model);
	add_text(list, NEXUSD_FIELD_BACKEND, request->backend);
	add_number(list, NEXUSD_FIELD_STATUS, request->status);
	add_text(list, NEXUSD_FIELD_OUTCOME, outcome_of(request));
	add_number(list, NEXUSD_FIELD_DURATION_USEC, (end_ns - exchange->arrival_ns) / NS_PER_USEC);
	if (exchange->marked_ns)
		add_number(list, NEXUSD_FIELD_TTFT_USEC,
			   (exchange->marked_ns - exchange->arrival_ns) / NS_PER_USEC);
	add_number(list, NEXUSD_FIELD_RECEIVED_BYTES, exchange->received_bytes);
	add_number(list, NEXUSD_FIELD_SENT_BYTES, exchange->sent_bytes);
	if (!relay)
		return;
	add_number(list, NEXUSD_FIELD_ATTEMPTS, relay->n_attempts);
	add_number(list, NEXUSD_FIELD_UPSTREAM_USEC, request->times.upstream_ns / NS_PER_USEC);
	add_usage(list, &relay->usage);
}

void request_log_end(struct request_log *log, struct request *request, uint64_t end_ns)
{
	enum message message = has_failed(request) ? MESSAGE_REQUEST_FAILED : MESSAGE_REQUEST;
	uint64_t msec = (end_ns - request->exchange->arrival_ns) / NS_PER_MSEC;
	struct field_list list;

	if (!log_is_enabled(message_level(message)) || !admit(log, request, end_ns))
		return;
	list.n = 0;
	add_fields(&list, request, end_ns);
	log_event_with(message, list.fields, list.n,
		       "%s for %s by %s ended with %u (%s) after %llu.%03u s", request->route->path,
		       request->model ? request->model : "an unknown model",
		       request->backend ? request->backend : "no backend", request->status,
		       outcome_of(request), (unsigned long long)(msec / 1000),
		       (unsigned)(msec % 1000));
}
