/* SPDX-License-Identifier: Apache-2.0 */
#include "api/stream.h"

#include "api/api_state.h"
#include "api/relay_state.h"
#include "api/reply_head.h"
#include "base/clock.h"
#include "base/jsonscan.h"

/* A frame larger than this is relayed without being understood. */
#define FRAME_MAX_BYTES (256u * 1024)

enum {
	FRAME_ERROR = N_USAGE_FIELDS,
	FRAME_USAGE,
	FRAME_CHOICE,
	FRAME_INDEX,
	FRAME_FINISH,
	FRAME_CONTENT, /* and all that follow */
	FRAME_REASONING,
	FRAME_REASONING_CONTENT,
	FRAME_TOOL_CALL,
	FRAME_TEXT,
	N_COMPLETION_PATHS,
	/* those of typed events */
	FRAME_TYPE = N_COMPLETION_PATHS,
	FRAME_RESPONSE_USAGE,
	FRAME_DELTA,
	FRAME_AUDIO,
	FRAME_IMAGE,
	FRAME_EVENT_USAGE,
	FRAME_EVENT_RESPONSE_USAGE = FRAME_EVENT_USAGE + N_USAGE_FIELDS,
	N_FRAME_PATHS = FRAME_EVENT_RESPONSE_USAGE + N_USAGE_FIELDS
};

static const struct json_path frame_paths[N_FRAME_PATHS] = {
	USAGE_PATHS,
	[FRAME_ERROR] = {{"error"}},
	[FRAME_USAGE] = {{"usage"}},
	[FRAME_CHOICE] = {{"choices", "[]"}},
	[FRAME_INDEX] = {{"choices", "[]", "index"}},
	[FRAME_FINISH] = {{"choices", "[]", "finish_reason"}},
	[FRAME_CONTENT] = {{"choices", "[]", "delta", "content"}},
	[FRAME_REASONING] = {{"choices", "[]", "delta", "reasoning"}},
	[FRAME_REASONING_CONTENT] = {{"choices", "[]", "delta", "reasoning_content"}},
	[FRAME_TOOL_CALL] = {{"choices", "[]", "delta", "tool_calls", "[]"}},
	[FRAME_TEXT] = {{"choices", "[]", "text"}},
	[FRAME_TYPE] = {{"type"}},
	[FRAME_RESPONSE_USAGE] = {{"response", "usage"}},
	[FRAME_DELTA] = {{"delta"}},
	[FRAME_AUDIO] = {{"audio"}},
	[FRAME_IMAGE] = {{"b64_json"}},
	[FRAME_EVENT_USAGE] = USAGE_PATHS_BELOW("usage"),
	[FRAME_EVENT_RESPONSE_USAGE] = USAGE_PATHS_BELOW("response", "usage"),
};

void stream_init(struct stream *stream)
{
	*stream = (struct stream){0};
	sse_init(&stream->sse, FRAME_MAX_BYTES);
}

void stream_done(struct stream *stream)
{
	sse_done(&stream->sse);
}

/* What nexusd reads of a frame. */
struct frame_facts {
	bool error, usage, content;
	bool response; /* an event of a response */
	bool done;     /* and the last one */
	struct stream_choices choices;
	uint64_t index; /* of the choice that is being read */
	bool finish;    /* it has a finish_reason */
	struct usage tokens;
};

/* Those beyond share the last bit. */
#define CHOICES_MAX 64

/* Its members have been told before. One without an index is the only one. */
static void end_choice(struct frame_facts *facts)
{
	uint64_t at = facts->index < CHOICES_MAX ? facts->index : CHOICES_MAX - 1;

	facts->choices.seen |= UINT64_C(1) << at;
	if (facts->finish)
		facts->choices.finished |= UINT64_C(1) << at;
	facts->index = 0;
	facts->finish = false;
}

/* Of several choices one may end long before the others. */
static bool is_finished(const struct stream *stream)
{
	return stream->choices.finished && stream->choices.finished == stream->choices.seen;
}

/* An empty text, as in the frame that only tells the role, is none. */
static bool is_content(struct json_value value)
{
	return value.type == JSON_OBJECT || (value.type == JSON_STRING && value.text.n > 2);
}

/* A response has no [DONE]. One that failed tells so itself. */
static void read_type(struct frame_facts *facts, struct str type)
{
	facts->response = str_has_prefix(type, STR_LITERAL("\"response."));
	facts->done = str_eq(type, STR_LITERAL("\"response.completed\"")) ||
		      str_eq(type, STR_LITERAL("\"response.incomplete\""));
	facts->error |= str_eq(type, STR_LITERAL("\"response.failed\"")) ||
			str_eq(type, STR_LITERAL("\"error\""));
}

static enum usage_field usage_field_of(size_t path)
{
	return (enum usage_field)(
		path < FRAME_EVENT_USAGE ? path : (path - FRAME_EVENT_USAGE) % N_USAGE_FIELDS);
}

static void found(void *context, size_t path, struct json_value value)
{
	struct frame_facts *facts = context;

	switch (path) {
	case FRAME_ERROR:
		facts->error |= value.type != JSON_NULL;
		break;
	case FRAME_USAGE:
	case FRAME_RESPONSE_USAGE:
		facts->usage |= value.type == JSON_OBJECT;
		break;
	case FRAME_TYPE:
		read_type(facts, value.text);
		break;
	case FRAME_CHOICE:
		end_choice(facts);
		break;
	case FRAME_INDEX:
		(void)!json_number_u53(value, &facts->index);
		break;
	case FRAME_FINISH:
		facts->finish = value.type == JSON_STRING;
		break;
	case FRAME_CONTENT:
	case FRAME_REASONING:
	case FRAME_REASONING_CONTENT:
	case FRAME_TOOL_CALL:
	case FRAME_TEXT:
	case FRAME_DELTA:
	case FRAME_AUDIO:
	case FRAME_IMAGE:
		facts->content |= is_content(value);
		break;
	default:
		usage_found(&facts->tokens, usage_field_of(path), value);
		break;
	}
}

static struct frame_facts read_frame(const struct relay *relay, struct str data)
{
	struct frame_facts facts = {0};
	struct jsonscan scan = {
		.paths = frame_paths,
		.n_paths = relay_is_passed(relay) ? N_FRAME_PATHS : N_COMPLETION_PATHS,
		.found = found,
		.context = &facts,
	};

	/* Data that is no JSON is the client's business: it is relayed and tells us nothing. */
	if (jsonscan_run(&scan, data) != JSON_OK)
		return (struct frame_facts){0};
	return facts;
}

static void commit(struct relay *relay)
{
	struct exchange *exchange = relay->request->exchange;

	reply_head_commit(relay);
	slab_gauge_add(relay->request->api->in.slab, relay->request->api->series.streams, 1);
	if (exchange_reply_stream(exchange, relay->status, -1) == 0) {
		reply_head_add(relay);
		(void)!exchange_add_header(exchange, "Cache-Control", "no-cache");
		(void)!exchange_add_header(exchange, "X-Accel-Buffering", "no");
	}
	exchange_send(exchange);
}

static bool is_done(struct str data)
{
	return str_eq(str_trim(data), STR_LITERAL("[DONE]"));
}

static void note_content(struct relay *relay)
{
	struct stream *stream = &relay->stream;
	struct api *api = relay->request->api;
	uint64_t now = clock_monotonic_ns();

	if (stream->first_content_ns == 0)
		stream->first_content_ns = now;
	else
		slab_observe(api->in.slab,
			     bundle_series(relay->candidate->bundle, BUNDLE_INTER_CHUNK),
			     now - stream->last_content_ns);
	stream->last_content_ns = now;
}

/* Not if it is the usage that nexusd asked for, and nothing else. An error tells why the stream
 * ends, whatever stands in it. */
static bool is_for_client(const struct relay *relay, const struct frame_facts *facts)
{
	return facts->error || facts->choices.seen || !facts->usage || !relay->asks_usage;
}

/* Commits, notes what the frame says, and tells whether it goes to the client. */
static bool take_frame(struct relay *relay, const struct sse_frame *frame)
{
	struct stream *stream = &relay->stream;
	struct frame_facts facts = {0};

	if (frame->data.p && !frame->oversize) {
		if (is_done(frame->data))
			stream->done = true;
		else
			facts = read_frame(relay, frame->data);
	}
	if (facts.error) {
		stream->failed = true;
		if (!relay->committed && (relay_may_retry(relay) || relay_may_wait(relay)))
			return false;
	}
	if (!relay->committed)
		commit(relay);
	stream->done |= facts.done;
	stream->is_response |= facts.response;
	stream->choices.seen |= facts.choices.seen;
	stream->choices.finished |= facts.choices.finished;
	/* What has no data is no event. */
	if (frame->oversize || frame->data.p)
		stream->ends_unread = frame->oversize;
	if (facts.content)
		note_content(relay);
	/* The last one seen counts, never a sum. */
	if (facts.tokens.seen)
		relay->usage = facts.tokens;
	return is_for_client(relay, &facts);
}

static bool is_blank(struct str raw)
{
	while (raw.n > 0 && (raw.p[0] == '\n' || raw.p[0] == '\r')) {
		raw.p++;
		raw.n--;
	}
	return raw.n == 0;
}

static bool on_frame(void *context, const struct sse_frame *frame)
{
	struct relay *relay = context;

	/* Blank lines say nothing, and commit to nothing. */
	if (!relay->committed && is_blank(frame->raw))
		return true;
	if (!take_frame(relay, frame))
		return relay->committed; /* swallowed: go on; a failed attempt: stop */
	relay->stream.stuck = exchange_write(relay->request->exchange, frame->raw) < 0;
	if (!relay->stream.stuck)
		relay->stream.left_open = relay->stream.sse.oversize;
	if (relay->stream.first_content_ns)
		exchange_mark(relay->request->exchange);
	return !relay->stream.stuck;
}

struct verdict stream_data(struct relay *relay, struct str data)
{
	bool out_of_memory = sse_feed(&relay->stream.sse, data, on_frame, relay) < 0;

	if (!out_of_memory && !relay->stream.stuck && (relay->committed || !relay->stream.failed))
		return verdict_goes_on();
	if (relay->committed)
		return verdict_broken(OUTCOME_CANCELLED, PROBLEM_OVERLOADED);
	return verdict_failed(out_of_memory ? OUTCOME_CANCELLED : OUTCOME_HTTP_5XX);
}

/* A last frame whose blank line the end of the body stands for. It goes to the client only if it
 * ends the stream well: after half a frame the error event could not be read. */
static void take_rest(struct relay *relay)
{
	struct str rest = sse_rest(&relay->stream.sse), data;
	struct frame_facts facts = {0};

	if (!rest.n || !relay->committed)
		return;
	if (str_has_prefix(rest, STR_LITERAL("data:"))) {
		data = str_trim((struct str){rest.p + 5, rest.n - 5});
		while (data.n && (data.p[data.n - 1] == '\n' || data.p[data.n - 1] == '\r'))
			data.n--;
		relay->stream.done |= is_done(data);
		facts = read_frame(relay, data);
	}
	if (facts.tokens.seen)
		relay->usage = facts.tokens;
	relay->stream.choices.seen |= facts.choices.seen;
	if ((relay->stream.done || is_finished(&relay->stream)) && is_for_client(relay, &facts))
		relay->stream.stuck = exchange_write(relay->request->exchange, rest) < 0;
}

/* Half a frame ends nothing, unless the end is already behind. */
static bool ends_between_frames(const struct stream *stream)
{
	return stream->done || is_finished(stream) || !sse_is_within_frame(&stream->sse);
}

/* Events that are neither of completions nor of a response end with the body. That of a response
 * does, too, when its last event may have been the one that ends it. */
static bool has_finished(const struct relay *relay)
{
	const struct stream *stream = &relay->stream;

	return is_finished(stream) || (relay_is_passed(relay) && ends_between_frames(stream) &&
				       (!stream->is_response || stream->ends_unread));
}

static bool is_whole(const struct relay *relay, enum outcome outcome)
{
	const struct stream *stream = &relay->stream;

	return !stream->stuck && (stream->done || (outcome == OUTCOME_OK && has_finished(relay)));
}

/* The backend has told the client itself. */
static struct verdict own_error(struct relay *relay, bool whole)
{
	relay->request->status = problem_row(PROBLEM_BAD_GATEWAY)->status;
	relay->request->error_type = ERROR_TYPE_BACKEND_ERROR;
	return verdict_done(OUTCOME_HTTP_5XX, whole);
}

struct verdict stream_over(struct relay *relay, enum outcome outcome)
{
	if (outcome == OUTCOME_OK)
		take_rest(relay);
	if (!relay->committed)
		return verdict_failed(outcome == OUTCOME_OK ? OUTCOME_TRUNCATED : outcome);
	if (relay->stream.failed)
		return own_error(relay,
				 outcome == OUTCOME_OK && ends_between_frames(&relay->stream));
	if (is_whole(relay, outcome))
		return verdict_done(OUTCOME_OK, true);
	return verdict_cut(outcome == OUTCOME_OK ? OUTCOME_TRUNCATED : outcome);
}

bool stream_tell(struct relay *relay, enum problem problem)
{
	bool typed = relay_is_passed(relay);
	struct buf event;
	int r = 0;

	buf_init(&event, 4096);
	/* The client has a part of a frame that was too large to be held: it has to end, or the
	 * event would be the rest of it. Nobody will take it for whole. */
	if (relay->stream.left_open)
		r = buf_append_str(&event, STR_LITERAL("\n\n"));
	if (r == 0)
		r = buf_append_str(&event, typed ? STR_LITERAL("event: error\ndata: ")
						 : STR_LITERAL("data: "));
	if (r == 0)
		r = typed ? problem_write_event(&event, problem)
			  : problem_write(&event, problem, NULL, NULL, NULL);
	if (r == 0)
		r = buf_append_str(&event, STR_LITERAL("\n\n"));
	/* When it does not fit any more, the unclean close alone must say it. */
	if (r == 0)
		r = exchange_write(relay->request->exchange, buf_str(&event));
	buf_done(&event);
	return r == 0;
}
