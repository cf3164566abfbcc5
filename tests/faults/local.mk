# SPDX-License-Identifier: Apache-2.0
# Makes calls of nexusd's own objects fail, in every program that is only a test. A name stands here
# and in one of the tables of *_calls.c: the linker misses what is not in both.
# What gcov adds to a program comes too late to ask for these two.
fault_ldflags = -Wl,--undefined=__wrap_open,--undefined=__wrap_malloc \
	-Wl,--wrap=malloc,--wrap=calloc,--wrap=realloc,--wrap=reallocarray \
	-Wl,--wrap=strdup,--wrap=asprintf,--wrap=vasprintf,--wrap=abort \
	-Wl,--wrap=socket,--wrap=socketpair,--wrap=accept4,--wrap=bind,--wrap=listen \
	-Wl,--wrap=connect,--wrap=send,--wrap=sendto,--wrap=epoll_create1,--wrap=epoll_ctl \
	-Wl,--wrap=eventfd,--wrap=signalfd,--wrap=pipe2,--wrap=open,--wrap=fork \
	-Wl,--wrap=pthread_create,--wrap=curl_easy_init,--wrap=curl_easy_pause \
	-Wl,--wrap=curl_multi_init,--wrap=curl_multi_add_handle \
	-Wl,--wrap=curl_multi_socket_action,--wrap=curl_slist_append \
	-Wl,--wrap=curl_url,--wrap=curl_url_set \
	-Wl,--wrap=MHD_queue_response,--wrap=MHD_add_response_header \
	-Wl,--wrap=MHD_create_response_from_buffer \
	-Wl,--wrap=MHD_create_response_from_callback,--wrap=MHD_add_connection
check_LIBRARIES = tests/faults/libfaults.a
tests_faults_libfaults_a_SOURCES = \
	tests/faults/calls.h \
	tests/faults/curl_calls.c \
	tests/faults/faults.c \
	tests/faults/faults.h \
	tests/faults/http_calls.c \
	tests/faults/memory_calls.c \
	tests/faults/system_calls.c
TESTS += tests/faults/run
EXTRA_DIST += tests/faults/run
