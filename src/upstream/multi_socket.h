/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The sockets of a multi in its loop's epoll. libcurl lets go of a socket each time a request ends
 * and takes it up again with the next one on that connection; a socket nexusd opened stays watched
 * in between, until it is closed or proves busy, which saves two system calls a request.
 */
#pragma once

#include <curl/curl.h>

#include "base/attr.h"

struct multi;

/* CURLMOPT_SOCKETFUNCTION, with the multi as its data. */
int multi_socket_changed(CURL *easy, curl_socket_t fd, int wanted, void *multi, void *unused);
/* For CURLOPT_OPENSOCKETFUNCTION: a descriptor, or -errno. */
int multi_socket_open(struct multi *multi, const struct curl_sockaddr *address) MUST_CHECK;
/* CURLOPT_CLOSESOCKETFUNCTION, with the multi as its data. */
int multi_socket_close(void *multi, curl_socket_t fd);
void multi_socket_forget_all(struct multi *multi);
/* How many that multi_socket_open() made are open. */
size_t multi_socket_count(struct multi *multi);
