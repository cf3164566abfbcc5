# SPDX-License-Identifier: Apache-2.0
EXTRA_DIST += data/nexusd.service.in data/nexusd.socket data/nexusd.sysusers data/nexusd.tmpfiles \
	data/conf.d/README
# Every default, as comments: to copy from, not needed in /etc.
dist_doc_DATA = data/nexusd.conf
dist_pkgdata_DATA = data/nexusd-stats.schema.json
# What other programs are told of the service; it opens no port by itself.
firewalldservicesdir = $(prefix)/lib/firewalld/services
dist_firewalldservices_DATA = data/firewalld/nexusd.xml
metainfodir = $(datadir)/metainfo
dist_metainfo_DATA = data/org.nexusd.nexusd.metainfo.xml
# Whether a system has these is its distribution's choice: packages install them.
EXTRA_DIST += data/apparmor/usr.sbin.nexusd data/ufw/nexusd \
	data/selinux/nexusd.fc data/selinux/nexusd.if data/selinux/nexusd.te
# One file to copy for each kind of receiver of the pushed metrics.
statsddocdir = $(docdir)/statsd
dist_statsddoc_DATA = \
	data/statsd/carbon.conf \
	data/statsd/collectd.conf \
	data/statsd/datadog.conf \
	data/statsd/etsy-statsd.conf \
	data/statsd/netdata.conf \
	data/statsd/telegraf.conf
CLEANFILES += data/nexusd.service

data/nexusd.service: data/nexusd.service.in Makefile
	$(AM_V_GEN)$(MKDIR_P) data && \
	$(SED) -e 's|@sbindir[@]|$(sbindir)|g' -e 's|@service_type[@]|$(service_type)|' \
		-e '$(service_notify_only)' '$(srcdir)/data/nexusd.service.in' >$@.tmp && mv $@.tmp $@

if WITH_UNITS
nodist_systemdsystemunit_DATA = data/nexusd.service
dist_systemdsystemunit_DATA = data/nexusd.socket
endif

# Completions of nexusctl, by its table.
bashcompletiondir = $(datadir)/bash-completion/completions
zshcompletiondir = $(datadir)/zsh/site-functions
nodist_bashcompletion_DATA = data/completions/nexusctl
nodist_zshcompletion_DATA = data/completions/_nexusctl
EXTRA_DIST += data/completion.awk data/completions/nexusctl.bash.in data/completions/_nexusctl.in
CLEANFILES += $(nodist_bashcompletion_DATA) $(nodist_zshcompletion_DATA)
completion_sources = data/completion.awk src/rows.awk src/ctl/commands.def src/config/schema.def \
	src/metrics/catalog.def
completion_write = $(AM_V_GEN)$(MKDIR_P) '$(@D)' && $(AWK) -v source='$(srcdir)' \
	-f '$(srcdir)/src/rows.awk' -f '$(srcdir)/data/completion.awk'

data/completions/nexusctl: data/completions/nexusctl.bash.in $(completion_sources)
	$(completion_write) -v shell=bash '$(srcdir)/data/completions/nexusctl.bash.in' >$@.tmp && \
		mv $@.tmp $@

data/completions/_nexusctl: data/completions/_nexusctl.in $(completion_sources)
	$(completion_write) -v shell=zsh '$(srcdir)/data/completions/_nexusctl.in' >$@.tmp && \
		mv $@.tmp $@

# What `journalctl -x` says about messages: the English is made of their table.
catalogdir = $(prefix)/lib/systemd/catalog
dist_catalog_DATA = data/nexusd.de.catalog
nodist_catalog_DATA = data/nexusd.catalog
EXTRA_DIST += data/catalog.awk
CLEANFILES += data/nexusd.catalog

data/nexusd.catalog: data/catalog.awk src/rows.awk src/base/message.def include/nexusd/messages.h
	$(AM_V_GEN)$(MKDIR_P) data && $(AWK) -v source='$(srcdir)' -f '$(srcdir)/src/rows.awk' \
		-f '$(srcdir)/data/catalog.awk' >$@.tmp && mv $@.tmp $@

# Prometheus and Grafana: written from the catalogue of metrics, so that no name is written twice.
prometheusdir = $(pkgdatadir)/prometheus
grafanadir = $(pkgdatadir)/grafana
dist_prometheus_DATA = data/prometheus/scrape.yml
nodist_prometheus_DATA = data/prometheus/alerts.yml
nodist_grafana_DATA = data/grafana/nexusd.json
EXTRA_DIST += data/alerts.awk data/alerts.def data/dashboard.awk data/expressions.awk data/panels.def
CLEANFILES += $(nodist_prometheus_DATA) $(nodist_grafana_DATA)

data_sources = src/rows.awk data/expressions.awk src/metrics/catalog.def
data_write = $(AM_V_GEN)$(MKDIR_P) '$(@D)' && $(AWK) -v source='$(srcdir)' \
	-f '$(srcdir)/src/rows.awk' -f '$(srcdir)/data/expressions.awk'

data/prometheus/alerts.yml: data/alerts.awk data/alerts.def $(data_sources)
	$(data_write) -f '$(srcdir)/data/alerts.awk' >$@.tmp && mv $@.tmp $@

data/grafana/nexusd.json: data/dashboard.awk data/panels.def src/metrics/groups.def $(data_sources)
	$(data_write) -f '$(srcdir)/data/dashboard.awk' >$@.tmp && mv $@.tmp $@

# The names in those folders are not the ones in the tree.
install-data-hook:
	$(MKDIR_P) '$(DESTDIR)$(prefix)/lib/sysusers.d' '$(DESTDIR)$(prefix)/lib/tmpfiles.d'
	$(INSTALL_DATA) '$(srcdir)/data/nexusd.sysusers' '$(DESTDIR)$(prefix)/lib/sysusers.d/nexusd.conf'
	$(INSTALL_DATA) '$(srcdir)/data/nexusd.tmpfiles' '$(DESTDIR)$(prefix)/lib/tmpfiles.d/nexusd.conf'

uninstall-hook:
	rm -f '$(DESTDIR)$(prefix)/lib/sysusers.d/nexusd.conf' \
		'$(DESTDIR)$(prefix)/lib/tmpfiles.d/nexusd.conf'
