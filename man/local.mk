# SPDX-License-Identifier: Apache-2.0
# The manuals hold the tables themselves, so that no name is written twice.
man_MANS += man/nexusd.8 man/nexusd.conf.5
EXTRA_DIST += man/nexusd.8.in man/nexusd.conf.5.in man/expand.awk
CLEANFILES += man/nexusd.8 man/nexusd.conf.5

man_tables = src/metrics/catalog.def src/config/schema.def src/api/routes.def src/base/problem.def
man_expand = $(AM_V_GEN)$(MKDIR_P) man && $(AWK) -v source='$(srcdir)' -v version='$(VERSION)' \
	-f '$(srcdir)/man/expand.awk' '$(srcdir)/$@.in' >$@.tmp && mv $@.tmp $@

man/nexusd.8: man/nexusd.8.in man/expand.awk $(man_tables)
	$(man_expand)

man/nexusd.conf.5: man/nexusd.conf.5.in man/expand.awk $(man_tables)
	$(man_expand)
