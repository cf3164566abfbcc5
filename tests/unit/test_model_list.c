/* SPDX-License-Identifier: Apache-2.0 */
#include "health/model_list.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>

#include "base/buf.h"
#include "tap.h"

/* The entries as "id:context" with blanks between them. */
static const char *text_of(const struct model_list *list)
{
	static char text[4096];
	size_t n = 0;

	text[0] = '\0';
	for (size_t i = 0; i < list->n; i++)
		n += (size_t)snprintf(text + n, sizeof(text) - n, "%s%s:%llu", i ? " " : "",
				      list->entries[i].model.id,
				      (unsigned long long)list->entries[i].model.context_length);
	return text;
}

static const struct {
	const char *what;
	enum backend_type type;
	int result;
	const char *body, *list;
} lists[] = {
	{"vLLM", BACKEND_VLLM, 0,
	 "{\"object\":\"list\",\"data\":[{\"id\":\"meta-llama/Llama-3-8B\",\"object\":"
	 "\"model\",\"owned_by\":\"vllm\",\"max_model_len\":8192}]}",
	 "meta-llama/Llama-3-8B:8192"},
	{"llama.cpp", BACKEND_LLAMACPP, 0,
	 "{\"models\":[{\"name\":\"q\"}],\"object\":\"list\",\"data\":[{\"id\":\"q.gguf\","
	 "\"meta\":{\"n_ctx_train\":32768,\"n_embd\":896}}]}",
	 "q.gguf:32768"},
	{"OpenAI, sorted", BACKEND_OPENAI, 0,
	 "{\"data\":[{\"id\":\"gpt-4o\"},{\"id\":\"babbage\"}],\"object\":\"list\"}",
	 "babbage:0 gpt-4o:0"},
	{"OpenRouter", BACKEND_OPENAI, 0, "{\"data\":[{\"id\":\"a/b\",\"context_length\":128000}]}",
	 "a/b:128000"},
	{"odd context lengths", BACKEND_GENERIC, 0,
	 "{\"data\":[{\"id\":\"a\",\"max_model_len\":-1},{\"id\":\"b\",\"max_model_len\":"
	 "\"9\"},{\"id\":\"c\",\"max_model_len\":0,\"context_length\":7},{\"id\":\"d\","
	 "\"max_model_len\":1.5},{\"id\":\"e\",\"max_model_len\":null,\"meta\":[]}]}",
	 "a:0 b:0 c:7 d:0 e:0"},
	{"no model", BACKEND_LMSTUDIO, 0, "{\"data\":[]}", ""},
	{"a name twice", BACKEND_VLLM, 0, "{\"data\":[{\"id\":\"a\"},{\"id\":\"a\"}]}", "a:0"},
	{"what is no model is left out", BACKEND_VLLM, 0,
	 "{\"data\":[1,null,\"x\",[],{},{\"id\":7},{\"id\":\"\"},{\"id\":\"ok\"},"
	 "{\"id\":\"a\\nb\"},{\"id\":\"a\\u0000b\"},{\"id\":\"\\u007f\"}]}",
	 "ok:0"},
	{"names beyond ASCII", BACKEND_VLLM, 0, "{\"data\":[{\"id\":\"mod\\u00e8le\"}]}",
	 "mod\xC3\xA8le:0"},
	{"Ollama", BACKEND_OLLAMA, 0,
	 "{\"models\":[{\"name\":\"llama3:70b\",\"model\":\"llama3:70b\",\"size\":1,"
	 "\"digest\":\"d1\",\"details\":{\"family\":\"llama\"}},{\"name\":\"a:latest\"}]}",
	 "a:latest:0 llama3:70b:0"},
	{"an Ollama without models", BACKEND_OLLAMA, 0, "{\"models\":[]}", ""},
	{"an old Ollama without models", BACKEND_OLLAMA, 0, "{\"models\":null}", ""},
	{"null elsewhere", BACKEND_VLLM, -EBADMSG, "{\"data\":null}", ""},
	{"an object instead of a list", BACKEND_VLLM, -EBADMSG, "{\"data\":{}}", ""},
	{"the other protocol", BACKEND_OLLAMA, -EBADMSG, "{\"data\":[]}", ""},
	{"no list", BACKEND_VLLM, -EBADMSG, "{\"error\":\"starting\"}", ""},
	{"an array", BACKEND_VLLM, -EBADMSG, "[]", ""},
	{"HTML", BACKEND_VLLM, -EBADMSG, "<html></html>", ""},
	{"nothing", BACKEND_VLLM, -EBADMSG, "", ""},
	{"half an answer", BACKEND_VLLM, -EBADMSG, "{\"data\":[{\"id\":\"a\"}", ""},
	{"bytes behind it", BACKEND_VLLM, -EBADMSG, "{\"data\":[]}x", ""},
	{"invalid UTF-8", BACKEND_VLLM, -EBADMSG, "{\"data\":[{\"id\":\"\xFF\"}]}", ""},
	{"a list twice", BACKEND_VLLM, -EBADMSG, "{\"data\":[],\"data\":[]}", ""},
};

static void test_lists(void)
{
	for (size_t i = 0; i < ARRAY_SIZE(lists); i++) {
		struct model_list list = {0};

		is_int(model_list_read(&list, lists[i].type, str_of(lists[i].body)),
		       lists[i].result, "%s", lists[i].what);
		is_text(text_of(&list), lists[i].list, "list of: %s", lists[i].what);
		model_list_done(&list);
	}
}

static void test_failure_keeps(void)
{
	struct model_list list = {0};
	int r = model_list_read(&list, BACKEND_VLLM, STR_LITERAL("{\"data\":[{\"id\":\"a\"}]}"));

	is_int(r, 0, "a list is read");
	is_int(model_list_read(&list, BACKEND_VLLM, STR_LITERAL("oops")), -EBADMSG,
	       "then there is none");
	is_text(text_of(&list), "a:0", "the old one stays");
	model_list_done(&list);
	is_u64(list.n, 0, "until it is done");
}

static void test_bounds(void)
{
	struct model_list list = {0};
	struct buf body;
	int r = 0;

	buf_init(&body, 4u << 20);
	r |= buf_printf(&body, "{\"data\":[{\"id\":\"%0256d\"},{\"id\":\"%0257d\"}", 1, 2);
	for (unsigned i = 0; i < 12000; i++)
		r |= buf_printf(&body, ",{\"id\":\"m%u\"}", i);
	r |= buf_printf(&body, "]}");
	is_int(r, 0, "a long list is written");
	is_int(model_list_read(&list, BACKEND_GENERIC, buf_str(&body)), 0, "and read");
	is_u64(list.n, MODEL_LIST_MAX, "up to the ceiling, without the name that is too long");
	is_u64(strlen(list.entries[0].model.id), 256, "the longest name is taken");
	model_list_done(&list);
	buf_done(&body);
}

/* So many bytes of one element, over and over. */
static void fill(struct buf *body, const char *begin, const char *element, const char *end)
{
	size_t most = MODEL_LIST_MAX_BYTES - strlen(end) - 1;
	int r;

	buf_init(body, MODEL_LIST_MAX_BYTES);
	r = buf_printf(body, "%s%s", begin, element);
	while (r == 0 && body->len + 1 + strlen(element) <= most)
		r = buf_printf(body, ",%s", element);
	r |= buf_printf(body, "%s", end);
	is_int(r, 0, "an answer of %zu bytes", body->len);
}

static long peak_kbytes(void)
{
	struct rusage usage;

	return getrusage(RUSAGE_SELF, &usage) == 0 ? usage.ru_maxrss : 0;
}

/* What is not kept takes no memory, however little it is in the text. */
static void test_memory(void)
{
	struct model_list list = {0};
	struct listed_model entry = {0};
	struct buf body;
	long peak, growth;

	fill(&body, "{\"data\":[", "{}", ",{\"id\":\"last\"}]}");
	peak = peak_kbytes();
	is_int(model_list_read(&list, BACKEND_VLLM, buf_str(&body)), 0, "a list of nothing");
	is_text(text_of(&list), "last:0", "and the model at its end");
	model_list_done(&list);
	is_int(model_list_read(&list, BACKEND_OLLAMA, buf_str(&body)), -EBADMSG, "another one's");
	buf_done(&body);
	fill(&body, "{\"status\":\"ok\",\"model_info\":[", "{}", "]}");
	is_int(model_list_describe(&entry, buf_str(&body)), 0, "a description of nothing");
	ok(model_list_is_ok(buf_str(&body)), "a long status");
	buf_done(&body);
	growth = peak_kbytes() - peak;
	ok(growth < 65536, "take no memory (%ld KiB)", growth);
}

static void test_descriptions(void)
{
	static const struct {
		const char *what, *body;
		int result;
		enum tristate vision, tools;
		uint64_t context_length;
	} cases[] = {
		{"a model with both",
		 "{\"capabilities\":[\"completion\",\"vision\",\"tools\"],\"model_info\":{"
		 "\"general.architecture\":\"llama\",\"llama.context_length\":131072}}",
		 0, TRISTATE_YES, TRISTATE_YES, 131072},
		{"a model with neither",
		 "{\"capabilities\":[\"completion\"],\"model_info\":{"
		 "\"general.architecture\":\"bert\",\"bert.context_length\":512}}",
		 0, TRISTATE_NO, TRISTATE_NO, 512},
		{"an old server", "{\"model_info\":{}}", 0, TRISTATE_UNKNOWN, TRISTATE_UNKNOWN, 0},
		{"empty capabilities", "{\"capabilities\":[]}", 0, TRISTATE_UNKNOWN,
		 TRISTATE_UNKNOWN, 0},
		{"the part that is the architecture",
		 "{\"model_info\":{\"clip.context_length\":77,\"general.architecture\":\"mllama\","
		 "\"mllama.context_length\":4096,\"mllama.rope.original_context_length\":9}}",
		 0, TRISTATE_UNKNOWN, TRISTATE_UNKNOWN, 4096},
		{"odd values",
		 "{\"capabilities\":[1,null,\"tools\"],\"model_info\":{\".context_length\":5,"
		 "\"a.context_length\":\"x\",\"b.context_length\":-4}}",
		 0, TRISTATE_NO, TRISTATE_YES, 0},
		{"no document", "sorry", -EBADMSG, TRISTATE_UNKNOWN, TRISTATE_UNKNOWN, 0},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct listed_model entry = {0};

		is_int(model_list_describe(&entry, str_of(cases[i].body)), cases[i].result, "%s",
		       cases[i].what);
		is_int(entry.model.vision, cases[i].vision, "vision of %s", cases[i].what);
		is_int(entry.model.tools, cases[i].tools, "tools of %s", cases[i].what);
		is_u64(entry.model.context_length, cases[i].context_length, "context of %s",
		       cases[i].what);
	}
}

/* What was asked once is not asked again while the model is the same. */
static void test_kept_descriptions(void)
{
	static const char *const bodies[] = {
		"{\"models\":[{\"name\":\"same\",\"digest\":\"1\"},{\"name\":\"new\",\"digest\":"
		"\"1\"},{\"name\":\"plain\"}]}",
		"{\"models\":[{\"name\":\"first\"},{\"name\":\"same\",\"digest\":\"1\"},{\"name\":"
		"\"new\",\"digest\":\"2\"},{\"name\":\"plain\"},{\"name\":\"zzz\"}]}",
	};
	struct model_list list = {0};
	struct backend_model *copy = NULL;
	int r = model_list_read(&list, BACKEND_OLLAMA, str_of(bodies[0]));

	is_int(r, 0, "the first list");
	for (size_t i = 0; i < list.n; i++) {
		ok(!list.entries[i].described, "%s is to be asked about", list.entries[i].model.id);
		list.entries[i].described = true;
		list.entries[i].model.context_length = 100 + i;
		list.entries[i].model.tools = TRISTATE_YES;
	}
	r = model_list_read(&list, BACKEND_OLLAMA, str_of(bodies[1]));
	is_int(r, 0, "the second list");
	is_text(text_of(&list), "first:0 new:0 plain:101 same:102 zzz:0",
		"what has not changed is known");
	ok(!list.entries[1].described && list.entries[3].described,
	   "what has changed is to be asked about");

	r = model_list_copy(&list, &copy);
	is_int(r, 0, "the list is copied");
	is_text(copy ? copy[3].id : NULL, "same", "with its names");
	ok(copy && copy[3].tools == TRISTATE_YES, "and what is known of them");
	copy = backend_models_free(copy, list.n);
	model_list_done(&list);
}

static void test_ok(void)
{
	ok(model_list_is_ok(STR_LITERAL("{\"status\":\"ok\"}")), "llama.cpp is ready");
	ok(model_list_is_ok(STR_LITERAL("{\"status\":\"ok\",\"slots_idle\":1}")),
	   "with more to say");
	ok(!model_list_is_ok(STR_LITERAL("{\"status\":\"loading model\"}")), "it is loading");
	ok(!model_list_is_ok(STR_LITERAL("{\"status\":true}")), "a status of another type");
	ok(!model_list_is_ok(STR_LITERAL("ok")), "no document");
	ok(!model_list_is_ok(STR_LITERAL("")), "nothing");
}

int main(void)
{
	test_lists();
	test_failure_keeps();
	test_bounds();
	test_memory();
	test_descriptions();
	test_kept_descriptions();
	test_ok();
	return tap_done();
}
