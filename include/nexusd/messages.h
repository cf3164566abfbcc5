/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What nexusd writes to the journal, for programs that read it: a MESSAGE_ID per event and the
 * names of the fields. Part of nexusd's interface: an id or a name never changes its meaning.
 */
#pragma once

/* MESSAGE_ID, as sd_journal_sendv(3) and journalctl(1) take it */

/* Serving: every listener is open and every worker runs. */
#define NEXUSD_MESSAGE_STARTED "724b26dc6d8f4ea984f4f740ef6dc847"
/* A reload ended well; the new configuration is in force. */
#define NEXUSD_MESSAGE_RELOADED "01b194bf50ea492eb44461e1e3c11ada"
/* A reload was refused; the old configuration stays in force. */
#define NEXUSD_MESSAGE_RELOAD_FAILED "f9025eadff124c1fac624d483cd7401f"
/* A backend became usable. */
#define NEXUSD_MESSAGE_BACKEND_HEALTHY "dd228257474c47538d743292d70e8a5f"
/* A backend failed its health checks. */
#define NEXUSD_MESSAGE_BACKEND_UNHEALTHY "c3106f2486974b2dadaf019427fc3ad3"
/* No new work is taken; what runs may finish. */
#define NEXUSD_MESSAGE_DRAINING "5e65a7957c8347348a33a44e6813283a"

/* Fields of messages about one request */
#define NEXUSD_FIELD_REQUEST_ID    "NEXUSD_REQUEST_ID" /* as in the header X-Request-Id */
#define NEXUSD_FIELD_MODEL         "NEXUSD_MODEL"      /* its real name */
#define NEXUSD_FIELD_STATUS        "NEXUSD_STATUS"     /* the outcome, as in nexus_requests_total */
#define NEXUSD_FIELD_DURATION_USEC "NEXUSD_DURATION_USEC"

/* Fields of other messages */
#define NEXUSD_FIELD_BACKEND "NEXUSD_BACKEND" /* the configured name */
#define NEXUSD_FIELD_REASON  "NEXUSD_REASON"  /* why a health check failed: connect, timeout ... */
