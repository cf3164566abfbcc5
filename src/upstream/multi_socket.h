/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The sockets of a multi in its loop's epoll. libcurl lets go of a socket each time a request ends
 * and takes it up again with the next one on that connection; a socket nexusd opened stays watched
 * in between, until it is closed or proves busy, which saves two system calls a request.
 */
#pragma once

#include <curl/curl.h>

struct multi;

/* CURLMOPT_SOCKETFUNCTION, with the multi as its data. */
int multi_socket_changed(CURL *easy, curl_socket_t fd, int wanted, void *multi, void *unused);
/* CURLOPT_OPENSOCKETFUNCTION and CURLOPT_CLOSESOCKETFUNCTION, likewise. */
curl_socket_t multi_socket_open(void *multi, curlsocktype purpose, struct curl_sockaddr *address);
int multi_socket_close(void *multi, curl_socket_t fd);
void multi_socket_forget_all(struct multi *multi);
