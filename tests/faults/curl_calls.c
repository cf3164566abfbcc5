/* SPDX-License-Identifier: Apache-2.0 */
#include <curl/curl.h>

#include "tests/faults/calls.h"

CALL(CURL *, curl_easy_init, (void), (), NULL, 0)
CALL(CURLcode, curl_easy_pause, (CURL * easy, int bits), (easy, bits), CURLE_OUT_OF_MEMORY, 0)
CALL(CURLM *, curl_multi_init, (void), (), NULL, 0)
CALL(CURLMcode, curl_multi_add_handle, (CURLM * multi, CURL *easy), (multi, easy),
     CURLM_OUT_OF_MEMORY, 0)
CALL(CURLMcode, curl_multi_socket_action,
     (CURLM * multi, curl_socket_t fd, int ready, int *running), (multi, fd, ready, running),
     CURLM_OUT_OF_MEMORY, 0)
CALL(struct curl_slist *, curl_slist_append, (struct curl_slist * list, const char *text),
     (list, text), NULL, 0)
CALL(CURLU *, curl_url, (void), (), NULL, 0)
CALL(CURLUcode, curl_url_set, (CURLU * url, CURLUPart part, const char *text, unsigned flags),
     (url, part, text, flags), CURLUE_OUT_OF_MEMORY, 0)
