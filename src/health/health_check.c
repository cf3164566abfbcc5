/* SPDX-License-Identifier: Apache-2.0 */
#include "health/health_check.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>

#include "base/clock.h"
#include "base/jsonx.h"

#define QUESTION_MAX_BYTES 4096
#define DETAIL_MAX_BYTES   128
/* An Ollama that has just been met is asked about its models bit by bit. */
#define DESCRIPTIONS_MAX 64

enum step { STEP_ALIVE, STEP_LIST, STEP_DESCRIBE };

static void end(struct health_check *check)
{
	bool described = check->described;

	loop_timer_clear(check->loop, &check->deadline);
	check->transfer = transfer_cancel(check->transfer);
	buf_done(&check->question);
	buf_done(&check->answer);
	check->config = config_unref(check->config);
	check->ended(check, described);
}

static void judge(struct health_check *check, enum outcome outcome, const char *detail,
		  uint64_t first_byte_ns)
{
	const struct health_check_result result = {
		.outcome = outcome,
		.detail = detail,
		.total_ns = clock_monotonic_ns() - check->started_ns,
		.first_byte_ns = first_byte_ns,
	};

	check->judged(check, &result);
}

static void fail(struct health_check *check, enum outcome outcome, const char *detail)
{
	/* Details are a luxury: without them the backend is alive all the same. The next check goes
	 * on with the next model, lest one keeps the others from being asked about. */
	if (check->step == STEP_DESCRIBE)
		check->next_description++;
	else
		judge(check, outcome, detail, 0);
	end(check);
}

/* Of an answer that was not the wanted one: what was asked, too. */
static void fail_answer(struct health_check *check, enum outcome outcome, const char *wrong)
{
	char detail[DETAIL_MAX_BYTES];

	(void)snprintf(detail, sizeof(detail), "GET %s: %s", check->path, wrong);
	fail(check, outcome, detail);
}

static void deadline_fire(struct timer *timer)
{
	struct health_check *check = container_of(timer, struct health_check, deadline);

	check->transfer = transfer_cancel(check->transfer);
	fail(check, OUTCOME_TIMEOUT, "no whole answer within health.timeout");
}

static void on_head(void *context, const struct transfer_head *head)
{
	struct health_check *check = context;

	check->status = head->status;
}

static void on_data(void *context, struct str data)
{
	struct health_check *check = context;

	if (check->error == 0)
		check->error = buf_append_str(&check->answer, data);
	if (check->error != -EMSGSIZE)
		return;
	check->transfer = transfer_cancel(check->transfer);
	fail_answer(check, OUTCOME_PARSE, "the answer is too large");
}

static void on_done(void *context, const struct transfer_result *result);

static bool ask(struct health_check *check, enum step step, const char *path)
{
	static const struct transfer_events events = {on_head, on_data, on_done};
	const struct transfer_request request = {
		.target = &check->target,
		.method = check->question.len ? "POST" : "GET",
		.path = path,
		.body = buf_str(&check->question),
		.connect_timeout_ns = check->config->health.timeout,
	};

	check->step = step;
	check->path = path;
	check->status = 0;
	check->error = 0;
	buf_clear(&check->answer);
	check->transfer = transfer_start(check->client, &request, &events, check);
	return check->transfer != NULL;
}

static bool ask_for_list(struct health_check *check)
{
	return ask(check, STEP_LIST,
		   check->backend->type == BACKEND_OLLAMA ? "/api/tags" : "/v1/models");
}

static bool ask_about(struct health_check *check, const char *model)
{
	struct jsonw w;

	check->n_descriptions++;
	buf_clear(&check->question);
	jsonw_begin(&w, &check->question);
	jsonw_object(&w, NULL);
	jsonw_string(&w, "model", str_of(model));
	jsonw_object_end(&w);
	return w.error == 0 && ask(check, STEP_DESCRIBE, "/api/show");
}

/* Asks for the details of the next model that has none; false when there is nothing to ask, or no
 * memory to do it. */
static bool ask_for_description(struct health_check *check)
{
	const struct model_list *list = &check->list;

	while (check->next_description < list->n &&
	       list->entries[check->next_description].described)
		check->next_description++;
	if (check->next_description < list->n)
		return check->n_descriptions < DESCRIPTIONS_MAX &&
		       ask_about(check, list->entries[check->next_description].model.id);
	check->next_description = 0;
	return false;
}

static void describe(struct health_check *check)
{
	struct listed_model *entry = &check->list.entries[check->next_description];

	/* Unless the backend is in trouble, the answer stands while the model stays the same. */
	entry->described = check->status < 500;
	if (check->status == 200 && model_list_describe(entry, buf_str(&check->answer)) == 0)
		check->described = true;
	check->next_description++;
	if (!ask_for_description(check))
		end(check);
}

static void read_list(struct health_check *check, uint64_t first_byte_ns)
{
	int r = model_list_read(&check->list, check->backend->type, buf_str(&check->answer));

	if (r == -EBADMSG) {
		fail_answer(check, OUTCOME_PARSE, "the answer is not a list of models");
		return;
	}
	if (r < 0) {
		end(check);
		return;
	}
	judge(check, OUTCOME_OK, "", first_byte_ns);
	if (!ask_for_description(check))
		end(check);
}

static void read_answer(struct health_check *check, const struct transfer_result *result)
{
	switch ((enum step)check->step) {
	case STEP_ALIVE:
		if (!model_list_is_ok(buf_str(&check->answer)))
			fail_answer(check, OUTCOME_PARSE, "the answer does not say that it is ok");
		else if (!ask_for_list(check))
			end(check);
		return;
	case STEP_LIST:
		read_list(check, result->trace.timings.first_byte);
		return;
	case STEP_DESCRIBE:
		describe(check);
		return;
	}
}

static enum outcome outcome_of_status(unsigned status)
{
	if (status == 429)
		return OUTCOME_HTTP_429;
	if (status >= 400 && status < 500)
		return OUTCOME_HTTP_4XX;
	/* A redirection or an empty success is no answer that can be read. */
	return status >= 500 ? OUTCOME_HTTP_5XX : OUTCOME_PARSE;
}

/* It is alive and asks for a key that only clients have. */
static bool wants_clients_key(const struct health_check *check)
{
	return check->backend->forward_authorization &&
	       (check->status == 401 || check->status == 403);
}

static void on_done(void *context, const struct transfer_result *result)
{
	struct health_check *check = context;
	char status[sizeof("HTTP status 4294967295")];

	check->transfer = NULL;
	if (result->outcome != OUTCOME_OK) {
		fail(check, result->outcome, result->error ? result->error : "");
	} else if (check->error < 0) {
		end(check);
	} else if (wants_clients_key(check)) {
		judge(check, OUTCOME_OK, "", result->trace.timings.first_byte);
		end(check);
	} else if (check->status != 200 && check->step != STEP_DESCRIBE) {
		(void)snprintf(status, sizeof(status), "HTTP status %u", check->status);
		fail_answer(check, outcome_of_status(check->status), status);
	} else {
		read_answer(check, result);
	}
}

void health_check_init(struct health_check *check, struct loop *loop, struct client *client)
{
	*check = (struct health_check){.loop = loop, .client = client};
	timer_init(&check->deadline, deadline_fire);
	buf_init(&check->question, QUESTION_MAX_BYTES);
	buf_init(&check->answer, MODEL_LIST_MAX_BYTES);
}

void health_check_done(struct health_check *check)
{
	loop_timer_clear(check->loop, &check->deadline);
	check->transfer = transfer_cancel(check->transfer);
	buf_done(&check->question);
	buf_done(&check->answer);
	check->config = config_unref(check->config);
	model_list_done(&check->list);
}

void health_check_start(struct health_check *check, struct config *config, size_t index)
{
	bool started;

	assert(!health_check_is_running(check));
	check->config = config_ref(config);
	check->backend = &config->backends[index];
	check->target = (struct target){
		.transport = TARGET_HTTP,
		.url = check->backend->url,
		.address = check->backend->address,
		.authorization = check->backend->authorization,
		.ca_file = check->backend->ca_file,
	};
	check->started_ns = clock_monotonic_ns();
	check->n_descriptions = 0;
	check->described = false;
	if (check->backend->type == BACKEND_LLAMACPP)
		started = ask(check, STEP_ALIVE, "/health");
	else
		started = ask_for_list(check);
	if (!started || loop_timer_set(check->loop, &check->deadline,
				       check->started_ns + config->health.timeout) < 0)
		end(check);
}
