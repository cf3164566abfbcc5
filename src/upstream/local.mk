# SPDX-License-Identifier: Apache-2.0
libnexusd_a_SOURCES += \
	src/upstream/client.c \
	src/upstream/client.h \
	src/upstream/client_internal.h \
	src/upstream/curl_outcome.c \
	src/upstream/curl_outcome.h \
	src/upstream/demo_answer.c \
	src/upstream/demo_answer.h \
	src/upstream/demo_embedding.c \
	src/upstream/demo_embedding.h \
	src/upstream/demo_prompt.c \
	src/upstream/demo_prompt.h \
	src/upstream/http_pool.c \
	src/upstream/http_pool.h \
	src/upstream/http_transfer.c \
	src/upstream/http_transfer.h \
	src/upstream/multi.c \
	src/upstream/multi.h \
	src/upstream/multi_socket.c \
	src/upstream/multi_socket.h \
	src/upstream/request_headers.c \
	src/upstream/request_headers.h \
	src/upstream/response_head.c \
	src/upstream/retry_after.c \
	src/upstream/retry_after.h \
	src/upstream/response_head.h \
	src/upstream/sse.c \
	src/upstream/sse.h \
	src/upstream/target.h \
	src/upstream/transfer.c \
	src/upstream/transfer.h \
	src/upstream/transport.h \
	src/upstream/transport_demo.c \
	src/upstream/transport_http.c \
	src/upstream/transport_http.h
