/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/gateway.h"

#include <curl/curl.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/i18n.h"
#include "base/jsonx.h"
#include "base/version.h"
#include "ctl/admin_place.h"

#define CONNECT_MSEC 5000L
#define FETCH_NS     (60 * NS_PER_SEC)
#define OK_FIRST     200
#define OK_LAST      299

struct gateway {
	CURL *curl;
	struct curl_slist *headers;
	char socket[ADMIN_SOCKET_MAX]; /* "" with a URL */
	const char *url;               /* of the network, or what stands for the socket */
	char curl_error[CURL_ERROR_SIZE];

	/* of the request under way */
	const struct gateway_request *request;
	struct response *answer;
	int body_error;
};

static int choose_place(struct gateway *gateway, const struct ctl *ctl, struct response *answer)
{
	gateway->url = ctl->url ? ctl->url : "http://localhost";
	return ctl->url ? CTL_OK : admin_place_find(ctl->socket, gateway->socket, answer);
}

static size_t take_body(char *bytes, size_t size, size_t n, void *context)
{
	struct gateway *gateway = context;
	struct str piece = {bytes, size * n};
	long http = 0;

	curl_easy_getinfo(gateway->curl, CURLINFO_RESPONSE_CODE, &http);
	if (gateway->request->piece && http >= OK_FIRST && http <= OK_LAST)
		return gateway->request->piece(gateway->request->context, piece) ? piece.n : 0;
	gateway->body_error = buf_append_str(&gateway->answer->body, piece);
	return gateway->body_error < 0 ? 0 : piece.n;
}

static size_t take_header(char *bytes, size_t size, size_t n, void *context)
{
	struct gateway *gateway = context;
	struct str value = {bytes, size * n}, name;

	while (value.n && (value.p[value.n - 1] == '\n' || value.p[value.n - 1] == '\r'))
		value.n--;
	name = str_split(&value, ':');
	if (gateway->request->header && value.p)
		gateway->request->header(gateway->request->context, name, str_trim(value));
	return size * n;
}

static bool set_up(struct gateway *gateway)
{
	CURL *curl = gateway->curl;
	char agent[64];

	snprintf(agent, sizeof(agent), "nexusctl/%s", version_text);
	gateway->headers = curl_slist_append(NULL, "Content-Type: application/json");
	if (!gateway->headers)
		return false;
	if (gateway->socket[0]) {
		if (curl_easy_setopt(curl, CURLOPT_UNIX_SOCKET_PATH, gateway->socket) != CURLE_OK ||
		    curl_easy_setopt(curl, CURLOPT_PROXY, "") != CURLE_OK)
			return false;
	}
	curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, gateway->curl_error);
	curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, take_body);
	curl_easy_setopt(curl, CURLOPT_WRITEDATA, gateway);
	curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, take_header);
	curl_easy_setopt(curl, CURLOPT_HEADERDATA, gateway);
	curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, CONNECT_MSEC);
	return curl_easy_setopt(curl, CURLOPT_USERAGENT, agent) == CURLE_OK;
}

struct gateway *gateway_new(const struct ctl *ctl, struct response *answer)
{
	struct gateway *gateway = calloc(1, sizeof(*gateway));

	if (gateway && choose_place(gateway, ctl, answer) != CTL_OK)
		return gateway_free(gateway);
	if (gateway)
		gateway->curl = curl_easy_init();
	if (gateway && gateway->curl && set_up(gateway))
		return gateway;
	response_fail(answer, CTL_FAILED, "%s", _("out of memory"));
	return gateway_free(gateway);
}

struct gateway *gateway_free(struct gateway *gateway)
{
	if (!gateway)
		return NULL;
	curl_easy_cleanup(gateway->curl);
	curl_slist_free_all(gateway->headers);
	free(gateway);
	return NULL;
}

const char *gateway_place(const struct gateway *gateway)
{
	return gateway->socket[0] ? gateway->socket : gateway->url;
}

static const char *face_of(const char *path)
{
	if (str_has_prefix(str_of(path), STR_LITERAL("/admin/")))
		return "admin";
	return strcmp(path, "/v1/stats") == 0 ||
			       str_has_prefix(str_of(path), STR_LITERAL("/metrics"))
		       ? "metrics"
		       : "api";
}

/* An answer that is no success: what nexusd says, or what its saying nothing means. */
static int judge_refusal(struct gateway *gateway)
{
	struct response *answer = gateway->answer;
	struct json_object *document = jsonx_parse(buf_str(&answer->body));
	struct json_object *error = jsonx_get(document, "error");
	struct str message = jsonx_string(jsonx_get(error, "message"));
	struct str code = jsonx_string(jsonx_get(error, "code"));

	if (answer->http == 404 && (!code.p || str_eq(code, STR_LITERAL("not_found"))))
		response_fail(answer, CTL_FAILED,
			      _("%s does not serve %s; does its listener have the face %s?"),
			      gateway_place(gateway), gateway->request->path,
			      face_of(gateway->request->path));
	else if (answer->http == 404 && gateway->request->missing)
		response_fail(answer, CTL_FAILED, "%s", gateway->request->missing);
	else if (message.p)
		response_fail(answer, CTL_FAILED, "%.*s", (int)message.n, message.p);
	else
		response_fail(answer, CTL_FAILED, _("%s answers with status %u"),
			      gateway_place(gateway), answer->http);
	jsonx_free(document);
	return answer->status;
}

static int judge(struct gateway *gateway, CURLcode result)
{
	struct response *answer = gateway->answer;
	long http = 0;

	curl_easy_getinfo(gateway->curl, CURLINFO_RESPONSE_CODE, &http);
	answer->http = (unsigned)http;
	if (gateway->body_error < 0)
		return response_fail(answer, CTL_FAILED, "%s", _("the answer is too large"));
	if (result != CURLE_OK && gateway->socket[0] &&
	    admin_place_probe(gateway->socket, answer) != CTL_OK)
		return answer->status;
	if (result != CURLE_OK)
		return response_fail(answer, http ? CTL_FAILED : CTL_UNREACHABLE,
				     _("cannot ask at %s: %s"), gateway_place(gateway),
				     gateway->curl_error[0] ? gateway->curl_error
							    : curl_easy_strerror(result));
	if (http < OK_FIRST || http > OK_LAST)
		return judge_refusal(gateway);
	return CTL_OK;
}

static CURLcode prepare(struct gateway *gateway, const struct gateway_request *request)
{
	CURL *curl = gateway->curl;
	char url[4096];

	if ((size_t)snprintf(url, sizeof(url), "%s%s", gateway->url, request->path) >= sizeof(url))
		return CURLE_URL_MALFORMAT;
	curl_easy_setopt(curl, CURLOPT_HTTPGET, 1L);
	curl_easy_setopt(curl, CURLOPT_HTTPHEADER, request->body ? gateway->headers : NULL);
	if (request->body || strcmp(request->method, "GET") != 0) {
		const char *body = request->body ? request->body : "";

		curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE, (long)strlen(body));
		curl_easy_setopt(curl, CURLOPT_COPYPOSTFIELDS, body);
	}
	curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, request->method);
	curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, (long)(request->timeout_ns / NS_PER_MSEC));
	return curl_easy_setopt(curl, CURLOPT_URL, url);
}

int gateway_ask(struct gateway *gateway, const struct gateway_request *request,
		struct response *answer)
{
	CURLcode result;

	gateway->request = request;
	gateway->answer = answer;
	gateway->body_error = 0;
	gateway->curl_error[0] = '\0';
	answer->status = CTL_OK;
	answer->http = 0;
	buf_clear(&answer->body);
	result = prepare(gateway, request);
	if (result == CURLE_OK)
		result = curl_easy_perform(gateway->curl);
	return judge(gateway, result);
}

void gateway_fail_json(const struct gateway *gateway, struct response *answer)
{
	response_fail(answer, CTL_FAILED, _("%s answers with what is no JSON"),
		      gateway_place(gateway));
}

static uint64_t time_of(const struct gateway *gateway, CURLINFO info)
{
	curl_off_t usec = 0;

	curl_easy_getinfo(gateway->curl, info, &usec);
	return (uint64_t)usec * NS_PER_USEC;
}

void gateway_last_times(const struct gateway *gateway, struct gateway_times *ret_times)
{
	*ret_times = (struct gateway_times){
		.connected_ns = time_of(gateway, CURLINFO_CONNECT_TIME_T),
		.sent_ns = time_of(gateway, CURLINFO_PRETRANSFER_TIME_T),
		.head_ns = time_of(gateway, CURLINFO_STARTTRANSFER_TIME_T),
		.total_ns = time_of(gateway, CURLINFO_TOTAL_TIME_T),
	};
}

int gateway_fetch(const struct ctl *ctl, struct gateway_request request,
		  struct json_object **ret_document)
{
	struct json_object *document = NULL;
	struct gateway *gateway;
	struct response answer;

	request.timeout_ns = FETCH_NS;
	response_init(&answer);
	gateway = gateway_new(ctl, &answer);
	if (gateway && gateway_ask(gateway, &request, &answer) == CTL_OK) {
		document = jsonx_parse(buf_str(&answer.body));
		if (!document)
			gateway_fail_json(gateway, &answer);
	}
	if (answer.status != CTL_OK)
		response_say(&answer);
	gateway_free(gateway);
	response_done(&answer);
	*ret_document = document;
	return answer.status;
}

int gateway_get(const struct ctl *ctl, const char *path, struct json_object **ret_document)
{
	return gateway_fetch(ctl, (struct gateway_request){.method = "GET", .path = path},
			     ret_document);
}
