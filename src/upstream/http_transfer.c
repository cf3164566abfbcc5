/* SPDX-License-Identifier: Apache-2.0 */
#include "upstream/http_transfer.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "upstream/client_internal.h"
#include "upstream/multi_socket.h"
#include "upstream/transport_http.h"

#if LIBCURL_VERSION_NUM >= 0x080700
#define RECEIVE_BYTES 16384L /* of the whole multi */
#else
#define RECEIVE_BYTES 8192L /* of every running transfer: the most of what it costs */
#endif
#define UPLOAD_BYTES            16384L /* the least libcurl takes; TLS only */
#define CONNECTION_IDLE_SECONDS 60L
#define CONNECTION_LIFE_SECONDS 600L /* so that a changed address is noticed */
#define DNS_CACHE_SECONDS       60L
#define CA_CACHE_SECONDS        86400L

/* Of the setters only those that copy a string can fail, for lack of memory; an option that an
 * older libcurl does not know changes nothing. */
static int set_limits(CURL *easy)
{
	if (curl_easy_setopt(easy, CURLOPT_PROXY, "") != CURLE_OK ||
	    curl_easy_setopt(easy, CURLOPT_NOPROXY, "*") != CURLE_OK)
		return -ENOMEM;
#if LIBCURL_VERSION_NUM >= 0x075500
	if (curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https") != CURLE_OK)
		return -ENOMEM;
#else
	curl_easy_setopt(easy, CURLOPT_PROTOCOLS, CURLPROTO_HTTP | CURLPROTO_HTTPS);
#endif
	curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	curl_easy_setopt(easy, CURLOPT_HTTP09_ALLOWED, 0L);
	curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L);
	curl_easy_setopt(easy, CURLOPT_HTTP_CONTENT_DECODING, 0L);
	curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, 1L);
	curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, 2L);
	curl_easy_setopt(easy, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
	return 0;
}

static void set_costs(CURL *easy)
{
	curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(easy, CURLOPT_NOPROGRESS, 1L);
	curl_easy_setopt(easy, CURLOPT_TCP_NODELAY, 1L);
	curl_easy_setopt(easy, CURLOPT_BUFFERSIZE, RECEIVE_BYTES);
	curl_easy_setopt(easy, CURLOPT_UPLOAD_BUFFERSIZE, UPLOAD_BYTES);
	curl_easy_setopt(easy, CURLOPT_PATH_AS_IS, 1L);
	curl_easy_setopt(easy, CURLOPT_DNS_CACHE_TIMEOUT, DNS_CACHE_SECONDS);
	curl_easy_setopt(easy, CURLOPT_MAXAGE_CONN, CONNECTION_IDLE_SECONDS);
#if LIBCURL_VERSION_NUM >= 0x075000
	curl_easy_setopt(easy, CURLOPT_MAXLIFETIME_CONN, CONNECTION_LIFE_SECONDS);
#endif
#if LIBCURL_VERSION_NUM >= 0x075700
	/* Without it every connect reads the system's whole store of certificates. */
	curl_easy_setopt(easy, CURLOPT_CA_CACHE_TIMEOUT, CA_CACHE_SECONDS);
	/* Without it a cancel waits, and the loop with it, until the resolver gives up. */
	curl_easy_setopt(easy, CURLOPT_QUICK_EXIT, 1L);
#endif
}

static curl_socket_t open_socket(void *context, curlsocktype purpose UNUSED,
				 struct curl_sockaddr *address)
{
	struct http_transfer *t = context;
	int fd = multi_socket_open(&t->client->multi, address);

	t->lacks_file = fd == -EMFILE || fd == -ENFILE || fd == -ENOBUFS || fd == -ENOMEM;
	return fd < 0 ? CURL_SOCKET_BAD : fd;
}

static void set_callbacks(struct http_transfer *t)
{
	struct multi *multi = &t->client->multi;

	curl_easy_setopt(t->easy, CURLOPT_PRIVATE, t);
	curl_easy_setopt(t->easy, CURLOPT_ERRORBUFFER, t->error);
	curl_easy_setopt(t->easy, CURLOPT_HEADERFUNCTION, transport_http_on_header);
	curl_easy_setopt(t->easy, CURLOPT_HEADERDATA, t);
	curl_easy_setopt(t->easy, CURLOPT_WRITEFUNCTION, transport_http_on_body);
	curl_easy_setopt(t->easy, CURLOPT_WRITEDATA, t);
	curl_easy_setopt(t->easy, CURLOPT_READFUNCTION, transport_http_on_read);
	curl_easy_setopt(t->easy, CURLOPT_READDATA, t);
#if LIBCURL_VERSION_NUM >= 0x075000
	curl_easy_setopt(t->easy, CURLOPT_PREREQFUNCTION, transport_http_on_request);
	curl_easy_setopt(t->easy, CURLOPT_PREREQDATA, t);
#endif
	curl_easy_setopt(t->easy, CURLOPT_OPENSOCKETFUNCTION, open_socket);
	curl_easy_setopt(t->easy, CURLOPT_OPENSOCKETDATA, t);
	curl_easy_setopt(t->easy, CURLOPT_CLOSESOCKETFUNCTION, multi_socket_close);
	curl_easy_setopt(t->easy, CURLOPT_CLOSESOCKETDATA, multi);
}

static int set_constants(struct http_transfer *t)
{
	set_costs(t->easy);
	set_callbacks(t);
	return set_limits(t->easy);
}

struct http_transfer *http_transfer_new(struct client *client)
{
	struct http_transfer *t = calloc(1, sizeof(*t));

	if (!t)
		return NULL;
	t->client = client;
	list_init(&t->node);
	multi_task_init(&t->task, transport_http_on_task);
	timer_init(&t->deadline, transport_http_on_deadline);
	response_head_init(&t->head);
	t->easy = curl_easy_init();
	if (!t->easy || set_constants(t) < 0)
		return http_transfer_free(t);
	return t;
}

static void forget_url(struct http_transfer *t)
{
	curl_easy_setopt(t->easy, CURLOPT_CURLU, NULL);
	curl_url_cleanup(t->url);
	t->url = NULL;
	free(t->url_text);
	t->url_text = NULL;
}

static void forget_address(struct http_transfer *t)
{
	curl_easy_setopt(t->easy, CURLOPT_CONNECT_TO, NULL);
	curl_slist_free_all(t->connect_to);
	t->connect_to = NULL;
	free(t->address_text);
	t->address_text = NULL;
}

struct http_transfer *http_transfer_free(struct http_transfer *t)
{
	if (!t)
		return NULL;
	if (t->easy) {
		forget_url(t);
		forget_address(t);
	}
	curl_easy_cleanup(t->easy);
	request_headers_done(&t->request);
	response_head_done(&t->head);
	free(t);
	return NULL;
}

/* A default that was overwritten cannot be had back but by a reset. */
static int set_trust(struct http_transfer *t, const char *ca_file)
{
	if (t->own_ca) {
		t->own_ca = false;
		curl_easy_reset(t->easy);
		forget_url(t);
		forget_address(t);
		if (set_constants(t) < 0)
			return -ENOMEM;
	}
	if (!ca_file)
		return 0;
	t->own_ca = true;
	curl_easy_setopt(t->easy, CURLOPT_CAPATH, NULL);
	return curl_easy_setopt(t->easy, CURLOPT_CAINFO, ca_file) == CURLE_OK ? 0 : -ENOMEM;
}

/* Parsing and rebuilding the URL is a tenth of libcurl's work for a request. One that cannot be
 * parsed is left to libcurl, which says what is wrong with it. */
static int parse_url(struct http_transfer *t)
{
	CURLUcode result;

	t->url = curl_url();
	if (!t->url)
		return -ENOMEM;
	result = curl_url_set(t->url, CURLUPART_URL, t->request.url,
			      CURLU_NON_SUPPORT_SCHEME | CURLU_PATH_AS_IS);
	if (result == CURLUE_OUT_OF_MEMORY)
		return -ENOMEM;
	if (result == CURLUE_OK)
		curl_easy_setopt(t->easy, CURLOPT_CURLU, t->url);
	t->url_text = strdup(t->request.url);
	return t->url_text ? 0 : -ENOMEM;
}

static int set_url(struct http_transfer *t)
{
	if (t->url_text && strcmp(t->url_text, t->request.url) == 0)
		return 0;
	forget_url(t);
	if (curl_easy_setopt(t->easy, CURLOPT_URL, t->request.url) != CURLE_OK)
		return -ENOMEM;
	return parse_url(t);
}

/* The name stays what Host and the certificate are about. */
static int set_address(struct http_transfer *t, const char *address)
{
	char text[sizeof("::[]:") + INET6_ADDRSTRLEN];
	bool is_v6;

	if (address ? t->address_text && strcmp(t->address_text, address) == 0 : !t->address_text)
		return 0;
	forget_address(t);
	if (!address)
		return 0;
	is_v6 = strchr(address, ':');
	/* From any host and port: to this host, and the same port. */
	(void)snprintf(text, sizeof(text), "::%s%s%s:", is_v6 ? "[" : "", address,
		       is_v6 ? "]" : "");
	t->address_text = strdup(address);
	t->connect_to = curl_slist_append(NULL, text);
	if (!t->address_text || !t->connect_to ||
	    curl_easy_setopt(t->easy, CURLOPT_CONNECT_TO, t->connect_to) != CURLE_OK) {
		forget_address(t);
		return -ENOMEM;
	}
	return 0;
}

/* The body is only pointed at: libcurl may send it again, when a kept connection proves dead. */
static void set_body(struct http_transfer *t, const struct transfer_request *request)
{
	bool post = strcmp(request->method, "POST") == 0;
	const char *body = request->body.n ? request->body.p : "";

	t->supply = request->supply;
	t->owed_bytes = t->supply ? request->supplied_bytes : (int64_t)request->body.n;
	if (t->supply) {
		/* Without fields to post it asks transport_http_on_read(), in chunks if it must. */
		curl_easy_setopt(t->easy, CURLOPT_POSTFIELDS, NULL);
		curl_easy_setopt(t->easy, CURLOPT_POST, 1L);
		curl_easy_setopt(t->easy, CURLOPT_POSTFIELDSIZE_LARGE,
				 (curl_off_t)request->supplied_bytes);
		return;
	}
	curl_easy_setopt(t->easy, CURLOPT_POSTFIELDS, post ? body : NULL);
	curl_easy_setopt(t->easy, CURLOPT_POSTFIELDSIZE_LARGE,
			 post ? (curl_off_t)request->body.n : -1);
	if (!post)
		curl_easy_setopt(t->easy, CURLOPT_HTTPGET, 1L);
}

static long milliseconds(uint64_t ns)
{
	uint64_t msec = ns / NS_PER_MSEC + (ns % NS_PER_MSEC != 0);

	return msec > INT32_MAX ? INT32_MAX : (long)msec;
}

int http_transfer_prepare(struct http_transfer *t, const struct transfer_request *request)
{
	int r = request_headers_build(&t->request, request);

	if (r == 0)
		r = set_trust(t, request->target->ca_file);
	if (r == 0)
		r = set_url(t);
	if (r == 0)
		r = set_address(t, request->target->address);
	if (r < 0)
		return r;
	curl_easy_setopt(t->easy, CURLOPT_HTTPHEADER, t->request.first);
	curl_easy_setopt(t->easy, CURLOPT_CONNECTTIMEOUT_MS,
			 milliseconds(request->connect_timeout_ns));
	set_body(t, request);
	t->first_byte_timeout_ns = request->first_byte_timeout_ns;
	t->idle_timeout_ns = request->idle_timeout_ns;
	return 0;
}

static uint64_t phase_ns(CURL *easy, CURLINFO info)
{
	curl_off_t usec = 0;

	curl_easy_getinfo(easy, info, &usec);
	return usec > 0 ? (uint64_t)usec * NS_PER_USEC : 0;
}

void http_transfer_trace(const struct http_transfer *t, struct transfer_trace *ret_trace)
{
	struct transfer_timings timings = {0};
	curl_off_t sent = 0;
	long n_connects = 0;

	*ret_trace = (struct transfer_trace){0};
	if (!t->added)
		return;
	curl_easy_getinfo(t->easy, CURLINFO_NUM_CONNECTS, &n_connects);
	curl_easy_getinfo(t->easy, CURLINFO_SIZE_UPLOAD_T, &sent);
	/* libcurl's clock stands while a transfer is silent or paused, and for 7.88 the first byte
	 * of a large body that was sent is that of an answer. */
	timings.first_byte = t->answered_ns ? t->answered_ns - t->start_ns : 0;
	timings.total = clock_monotonic_ns() - t->start_ns;
	ret_trace->reused = t->resent || (n_connects == 0 && t->requested);
	if (!ret_trace->reused) {
		timings.name_lookup = phase_ns(t->easy, CURLINFO_NAMELOOKUP_TIME_T);
		timings.connect = phase_ns(t->easy, CURLINFO_CONNECT_TIME_T);
		timings.tls = phase_ns(t->easy, CURLINFO_APPCONNECT_TIME_T);
	}
	ret_trace->connected = ret_trace->reused || timings.connect > 0;
	ret_trace->timings = timings;
	ret_trace->sent_bytes = (uint64_t)sent;
	ret_trace->body_sent = t->supply ? t->sent : sent == t->owed_bytes;
	ret_trace->received_bytes = t->received_bytes;
}

void http_transfer_clear(struct http_transfer *t)
{
	request_headers_clear(&t->request);
	response_head_clear(&t->head);
	t->answered_ns = t->received_bytes = 0;
	t->failure = OUTCOME_OK;
	t->failure_text = NULL;
	t->added = t->requested = t->resent = false;
	t->lacks_file = t->made_room = false;
	t->body_begun = t->paused = t->held = t->cancelled = false;
	t->starved = t->fed = t->sent = false;
	t->error[0] = '\0';
}
