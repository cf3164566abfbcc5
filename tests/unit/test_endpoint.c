/* SPDX-License-Identifier: Apache-2.0 */
#include "config/endpoint.h"

#include <errno.h>
#include <stdlib.h>

#include "tests/tap.h"

static const struct {
	const char *url, *want; /* want NULL: refused */
} urls[] = {
	{"http://h", "http://h"},
	{"http://h/", "http://h"},
	{"http://h/v1", "http://h"},
	{"http://h/v1//", "http://h"},
	{"http://h//v1/", "http://h"},
	{"https://h:443/a/v1/", "https://h:443/a"},
	{"https://h/v1/v1", "https://h/v1"},
	{"https://h/av1", "https://h/av1"},
	{"https://h/v10", "https://h/v10"},
	{"hTTps://H.Example", "https://H.Example"},
	{"http://[::1]:11434", "http://[::1]:11434"},
	{"http://10.0.0.1:1/%7Ea;b=c", "http://10.0.0.1:1/%7Ea;b=c"},
	{"", NULL},
	{"h:8000", NULL},
	{"http:/h", NULL},
	{"http://", NULL},
	{"http:///v1", NULL},
	{"http://:80", NULL},
	{"http://h:", NULL},
	{"http://h:0", NULL},
	{"http://h:65536", NULL},
	{"http://h:8a", NULL},
	{"http://h:80:80", NULL},
	{"http://-h", NULL},
	{"http://h h", NULL},
	{"http://h\\x", NULL},
	{"http://h/ x", NULL},
	{"http://h/\xC3\xA4", NULL},
	{"http://h?x", NULL},
	{"http://h#x", NULL},
	{"http://u@h", NULL},
	{"http://u:p@h/v1", NULL},
	{"http://10.0.0.256", NULL},
	{"http://10.0.1", NULL},
	{"http://0x7f000001", NULL},
	{"http://127.0.0.0X1", NULL},
	{"http://a.0x", NULL},
	{"http://127.0.0.1.", NULL},
	{"http://a.8", NULL},
	{"http://0x7g", "http://0x7g"},
	{"http://1a.b2.", "http://1a.b2."},
	{"http://[::1", NULL},
	{"http://[::1]x", NULL},
	{"http://[]", NULL},
	{"http://[127.0.0.1]", NULL},
	{"http://[fe80::1%25eth0]", NULL},
	{"unix:/x", NULL},
	{"file:///etc/passwd", NULL},
};

static void test_urls(void)
{
	for (size_t i = 0; i < ARRAY_SIZE(urls); i++) {
		const char *wrong = NULL;
		char *url = NULL;
		int r = endpoint_url_parse(str_of(urls[i].url), &url, &wrong);

		if (urls[i].want)
			is_text(url, urls[i].want, "URL %s", urls[i].url);
		else
			ok(r == -EINVAL && wrong && strchr(wrong, ';'), "no URL: %s", urls[i].url);
		free(url);
	}
}

static const struct {
	const char *address;
	bool valid, local, ephemeral;
} addresses[] = {
	{"127.0.0.1:8000", true, true, false},
	{"127.1.2.3:0", true, true, true},
	{"[::1]:65535", true, true, false},
	{"localhost:80", true, true, false},
	{"LocalHost:80", true, true, false},
	{"unix:/run/nexusd/api.sock", true, true, false},
	{"0.0.0.0:8000", true, false, false},
	{"[::]:8000", true, false, false},
	{"[::ffff:10.0.0.1]:8000", true, false, false},
	{"gateway.example.org:8000", true, false, false},
	{"localhost.example.org:8000", true, false, false},
	{"128.0.0.1:00", true, false, true},
	{"", false, false, false},
	{":8000", false, false, false},
	{"*:8000", false, false, false},
	{"8000", false, false, false},
	{"127.0.0.1", false, false, false},
	{"127.0.0.1:", false, false, false},
	{"127.0.0.1:65536", false, false, false},
	{"127.0.0.1:-1", false, false, false},
	{"127.0.0.1:http", false, false, false},
	{"127.0.1:80", false, false, false},
	{"::1:8000", false, false, false},
	{"fe80::1:8000", false, false, false},
	{"[::1]", false, false, false},
	{"[::1:8000", false, false, false},
	{"unix:", false, false, false},
	{"unix:run/x.sock", false, false, false},
	{"unix:/2345678901234567890123456789012345678901234567890123456789012345678901234567890123"
	 "4567890123456789012345678",
	 false, false, false},
};

static void test_addresses(void)
{
	for (size_t i = 0; i < ARRAY_SIZE(addresses); i++) {
		const char *address = addresses[i].address;
		const char *wrong = endpoint_address_check(address);

		ok(!wrong == addresses[i].valid, "address \"%s\"", address);
		if (wrong) {
			ok(strchr(wrong, ';') != NULL, "and what to do");
			continue;
		}
		ok(endpoint_address_is_local(address) == addresses[i].local, "is it local?");
		ok(endpoint_address_is_ephemeral(address) == addresses[i].ephemeral,
		   "does the kernel choose?");
	}
}

static const struct {
	const char *address;
	bool valid;
	enum endpoint_transport transport;
	const char *host, *port;
} receivers[] = {
	{"udp://127.0.0.1:8125", true, ENDPOINT_UDP, "127.0.0.1", "8125"},
	{"udp://[::1]:1", true, ENDPOINT_UDP, "::1", "1"},
	{"tcp://carbon.example.org:2003", true, ENDPOINT_TCP, "carbon.example.org", "2003"},
	{"unixgram:///run/x.sock", true, ENDPOINT_UNIXGRAM, "/run/x.sock", ""},
	{"", false, 0, NULL, NULL},
	{"127.0.0.1:8125", false, 0, NULL, NULL},
	{"http://h:1", false, 0, NULL, NULL},
	{"unix:/run/x.sock", false, 0, NULL, NULL},
	{"unixgram://x", false, 0, NULL, NULL},
	{"unixgram://", false, 0, NULL, NULL},
	{"udp://", false, 0, NULL, NULL},
	{"udp://h", false, 0, NULL, NULL},
	{"udp://h:", false, 0, NULL, NULL},
	{"udp://h:0", false, 0, NULL, NULL},
	{"udp://h:65536", false, 0, NULL, NULL},
	{"udp://::1:8125", false, 0, NULL, NULL},
	{"udp://h:1/x", false, 0, NULL, NULL},
	{"unixgram:///"
	 "2345678901234567890123456789012345678901234567890123456789012345678901234567890123"
	 "4567890123456789012345678",
	 false, 0, NULL, NULL},
};

static void test_receivers(void)
{
	for (size_t i = 0; i < ARRAY_SIZE(receivers); i++) {
		struct endpoint_receiver receiver = {0};
		const char *wrong = endpoint_receiver_parse(receivers[i].address, &receiver);

		ok(!wrong == receivers[i].valid, "receiver \"%s\"", receivers[i].address);
		if (wrong) {
			ok(strchr(wrong, ';') != NULL, "and what to do");
			continue;
		}
		ok(receiver.transport == receivers[i].transport &&
			   str_eq(receiver.host, str_of(receivers[i].host)) &&
			   str_eq(receiver.port, str_of(receivers[i].port)),
		   "its parts");
	}
}

int main(void)
{
	test_urls();
	test_addresses();
	test_receivers();
	return tap_done();
}
