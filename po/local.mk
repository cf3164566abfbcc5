# SPDX-License-Identifier: Apache-2.0
# For tests, which install nothing: the translations as they are installed, and tests/system has
# a nexusd and a nexusctl that find them there.
if USE_NLS
translations = tests/locale/de/LC_MESSAGES/nexusd.mo
check_DATA = $(translations)
CLEANFILES += $(translations)
endif

tests/locale/de/LC_MESSAGES/nexusd.mo: po/de.po
	$(AM_V_GEN)$(MKDIR_P) '$(@D)' && $(MSGFMT) -c -o $@ '$(srcdir)/po/de.po'
