# SPDX-License-Identifier: Apache-2.0
nexusdincludedir = $(includedir)/nexusd
nexusdinclude_HEADERS = include/nexusd/messages.h
