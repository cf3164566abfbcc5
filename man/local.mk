# SPDX-License-Identifier: Apache-2.0
# The manuals hold the tables themselves, so that no name is written twice.
manuals = man/nexusctl.1 man/nexusd.8 man/nexusd.conf.5 man/nexusd-metrics.7 \
	man/nexusd-journal.7
man_MANS += $(manuals)
EXTRA_DIST += $(manuals:=.in) man/expand.awk
CLEANFILES += $(manuals)

man_sources = man/expand.awk src/rows.awk src/metrics/buckets.def src/metrics/catalog.def \
	src/metrics/groups.def src/config/schema.def src/api/routes.def src/base/problem.def \
	src/ctl/commands.def src/base/message.def include/nexusd/messages.h
man_expand = $(AM_V_GEN)$(MKDIR_P) man && $(AWK) -v source='$(srcdir)' -v version='$(VERSION)' \
	-v pkgdatadir='$(pkgdatadir)' -v prefix='$(prefix)' -v docdir='$(docdir)' \
	-f '$(srcdir)/src/rows.awk' -f '$(srcdir)/man/expand.awk' \
	'$(srcdir)/$@.in' >$@.tmp && mv $@.tmp $@

man/nexusctl.1: man/nexusctl.1.in $(man_sources)
	$(man_expand)

man/nexusd.8: man/nexusd.8.in $(man_sources)
	$(man_expand)

man/nexusd.conf.5: man/nexusd.conf.5.in $(man_sources)
	$(man_expand)

man/nexusd-metrics.7: man/nexusd-metrics.7.in $(man_sources)
	$(man_expand)

man/nexusd-journal.7: man/nexusd-journal.7.in $(man_sources)
	$(man_expand)
