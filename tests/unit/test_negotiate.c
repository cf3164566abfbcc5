/* SPDX-License-Identifier: Apache-2.0 */
#include "export/negotiate.h"

#include "tests/tap.h"

#define OPENMETRICS EXPOSITION_OPENMETRICS
#define CLASSIC     EXPOSITION_CLASSIC

static const struct {
	const char *accept;
	enum exposition want;
} rows[] = {
	{NULL, CLASSIC},
	{"", CLASSIC},
	{",, ;,", CLASSIC},
	{"*/*", CLASSIC},
	{"text/*", CLASSIC},
	{"text/plain", CLASSIC},
	{"text/plain; version=0.0.4", CLASSIC},
	{"text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", CLASSIC},
	{"application/json", CLASSIC},

	{"application/openmetrics-text", OPENMETRICS},
	{"Application/OpenMetrics-Text; Version=1.0.0; Charset=UTF-8", OPENMETRICS},
	{"application/openmetrics-text; version=\"1.0.0\"", OPENMETRICS},
	{"application/openmetrics-text ; version=1.0.0 ; q=0.001", OPENMETRICS},
	{"application/*", OPENMETRICS},
	{"application/openmetrics-text,*/*", OPENMETRICS},
	{"*/*,application/openmetrics-text", OPENMETRICS},

	/* versions we do not speak */
	{"application/openmetrics-text; version=0.0.1", CLASSIC},
	{"application/openmetrics-text; version=2.0", CLASSIC},
	{"application/openmetrics-text; version=2.0.0, */*;q=0.1", CLASSIC},
	{"application/openmetrics-text; version=0.0.1, "
	 "application/openmetrics-text; version=1.0.0;q=0.2",
	 OPENMETRICS},
	{"application/openmetrics-text; charset=latin1", CLASSIC},
	{"text/plain;version=1.0.0, application/openmetrics-text;q=0.1", OPENMETRICS},

	/* what Prometheus 2.42 and 3 send */
	{"application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;"
	 "q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
	 OPENMETRICS},
	{"application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,"
	 "application/openmetrics-text;version=0.0.1;q=0.4,"
	 "text/plain;version=1.0.0;escaping=allow-utf-8;q=0.3,text/plain;version=0.0.4;q=0.2,"
	 "*/*;q=0.1",
	 OPENMETRICS},
	{"application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;"
	 "encoding=delimited;q=0.6,application/openmetrics-text;version=1.0.0;q=0.5,"
	 "text/plain;version=0.0.4;q=0.4,*/*;q=0.3",
	 OPENMETRICS},

	/* weights */
	{"application/openmetrics-text;q=0.3, text/plain;q=0.4", CLASSIC},
	{"application/openmetrics-text;q=0.5, text/plain;q=0.499", OPENMETRICS},
	{"application/openmetrics-text;q=0.5, text/plain;q=0.5", CLASSIC},
	{"application/openmetrics-text;q=0", CLASSIC},
	{"application/openmetrics-text;q=0, text/plain;q=0", CLASSIC},
	{"application/openmetrics-text;q=0.000, */*", CLASSIC},
	{"text/plain;q=0, */*;q=0.1", OPENMETRICS},
	{"text/plain;q=0, application/openmetrics-text;q=0.1", OPENMETRICS},

	/* the most specific range counts, not the heaviest */
	{"*/*;q=1, application/openmetrics-text;q=0.1, text/plain;q=0.2", CLASSIC},
	{"application/*;q=0.9, application/openmetrics-text;q=0.1, text/plain;q=0.5", CLASSIC},
	{"text/*;q=0.9, text/plain;q=0.1, application/openmetrics-text;q=0.5", OPENMETRICS},
	{"text/plain;q=0.9, text/plain;version=0.0.4;q=0.1, application/openmetrics-text;q=0.5",
	 OPENMETRICS},

	/* malformed: a range with a bad weight is as good as absent */
	{"application/openmetrics-text;q=2", CLASSIC},
	{"application/openmetrics-text;q=1.5", CLASSIC},
	{"application/openmetrics-text;q=-1", CLASSIC},
	{"application/openmetrics-text;q=", CLASSIC},
	{"application/openmetrics-text;q=0.1234", CLASSIC},
	{"application/openmetrics-text;q=abc, text/plain;q=0.1", CLASSIC},
	{"application/openmetrics-text;q=1.", OPENMETRICS},
	{"application/openmetrics-text;q=1.000", OPENMETRICS},
	{"application/openmetrics-text;version", CLASSIC},
	{"application", CLASSIC},
	{"*/openmetrics-text", CLASSIC},
	{"text/plain;x=\"a,application/openmetrics-text;q=1\"", CLASSIC},
	{"text/plain;x=\"a\\\",application/openmetrics-text\"", CLASSIC},
	{"text/plain;x=\"never closed, application/openmetrics-text", CLASSIC},
	{"application/openmetrics-text;x=\"a,b;q=0\";q=0.7, text/plain;q=0.5", OPENMETRICS},
};

static const struct {
	const char *accept;
	bool wants_gzip;
} coding_rows[] = {
	{NULL, false},
	{"", false},
	{"gzip", true},
	{"GZip", true},
	{"x-gzip", true},
	{"deflate, gzip, br, zstd", true},
	{"deflate, br", false},
	{"identity", false},
	{"*", true},
	{"gzip;q=0", false},
	{"gzip;q=0.000", false},
	{"gzip;q=0, *", false},
	{"*;q=0", false},
	{"identity;q=0", false},
	{"identity;q=0, *", true},
	{"identity;q=0, gzip;q=0.1", true},
	{"identity, gzip", true},
	{"identity;q=0.5, gzip;q=0.4", false},
	{"gzip;q=0.5, *", false},
	{"gzip;q=0.5, *;q=0.4", true},
	{"gzip;q=2", false},
	{"gzip;q=", false},
	{"gzip ; q=1.000", true},
	{"gzipped", false},
	{", ,gzip", true},
	{"\"gzip\"", false},
};

int main(void)
{
	for (size_t i = 0; i < sizeof(coding_rows) / sizeof(coding_rows[0]); i++)
		ok(negotiate_gzip(str_of(coding_rows[i].accept)) == coding_rows[i].wants_gzip,
		   "Accept-Encoding: %s gives %s",
		   coding_rows[i].accept ? coding_rows[i].accept : "(absent)",
		   coding_rows[i].wants_gzip ? "gzip" : "identity");
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		ok(negotiate_exposition(str_of(rows[i].accept)) == rows[i].want,
		   "Accept: %s gives %s", rows[i].accept ? rows[i].accept : "(absent)",
		   rows[i].want == CLASSIC ? "classic" : "OpenMetrics");
	ok(strstr(openmetrics_content_type(CLASSIC), "text/plain; version=0.0.4;") != NULL,
	   "classic's content type");
	ok(strstr(openmetrics_content_type(OPENMETRICS), "openmetrics-text; version=1.0.0;") !=
		   NULL,
	   "OpenMetrics' content type");
	return tap_done();
}
