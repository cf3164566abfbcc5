# SPDX-License-Identifier: Apache-2.0
# main.c and nexusctl.c are all that tests and fuzzers do not link.
sbin_PROGRAMS += nexusd
nexusd_SOURCES = src/main.c
nexusd_LDFLAGS = $(NEXUSD_LDFLAGS)
nexusd_LDADD = libnexusd.a $(libraries)
nexusd_CPPFLAGS = $(AM_CPPFLAGS) -DLOCALEDIR='"$(localedir)"'
bin_PROGRAMS += nexusctl
nexusctl_SOURCES = src/nexusctl.c
nexusctl_LDFLAGS = $(NEXUSD_LDFLAGS)
nexusctl_LDADD = libnexusd.a $(libraries)
nexusctl_CPPFLAGS = $(AM_CPPFLAGS) -DLOCALEDIR='"$(localedir)"'
# Reads the tables for the generators in man and data.
EXTRA_DIST += src/rows.awk
