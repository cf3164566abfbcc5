# SPDX-License-Identifier: Apache-2.0

# NEXUSD_CC_FLAGS(VARIABLE, FLAGS): appends those flags that the compiler takes without a warning.
AC_DEFUN([NEXUSD_CC_FLAGS], [
  AS_VAR_COPY([nexusd_all_flags], [$1])
  for nexusd_flag in $2; do
    AS_VAR_PUSHDEF([nexusd_cache], [nexusd_cv_cc_$nexusd_flag])
    AC_CACHE_CHECK([whether $CC takes $nexusd_flag], [nexusd_cache], [
      nexusd_saved_CFLAGS=$CFLAGS
      CFLAGS="$CFLAGS -Werror $nexusd_flag"
      AC_COMPILE_IFELSE([AC_LANG_PROGRAM([[#include <string.h>]])],
        [AS_VAR_SET([nexusd_cache], [yes])], [AS_VAR_SET([nexusd_cache], [no])])
      CFLAGS=$nexusd_saved_CFLAGS
    ])
    AS_VAR_IF([nexusd_cache], [yes], [AS_VAR_APPEND([nexusd_all_flags], [" $nexusd_flag"])])
    AS_VAR_POPDEF([nexusd_cache])
  done
  AS_VAR_COPY([$1], [nexusd_all_flags])
])

# NEXUSD_LD_FLAGS(VARIABLE, FLAGS): the same for flags of the link, tried with $1's other flags.
AC_DEFUN([NEXUSD_LD_FLAGS], [
  AS_VAR_COPY([nexusd_all_flags], [$1])
  for nexusd_flag in $2; do
    AS_VAR_PUSHDEF([nexusd_cache], [nexusd_cv_ld_$nexusd_flag])
    AC_CACHE_CHECK([whether the linker takes $nexusd_flag], [nexusd_cache], [
      nexusd_saved_LDFLAGS=$LDFLAGS
      nexusd_saved_CFLAGS=$CFLAGS
      LDFLAGS="$LDFLAGS $nexusd_flag"
      CFLAGS="$CFLAGS $NEXUSD_CFLAGS"
      AC_LINK_IFELSE([AC_LANG_PROGRAM([[]])],
        [AS_VAR_SET([nexusd_cache], [yes])], [AS_VAR_SET([nexusd_cache], [no])])
      LDFLAGS=$nexusd_saved_LDFLAGS
      CFLAGS=$nexusd_saved_CFLAGS
    ])
    AS_VAR_IF([nexusd_cache], [yes], [AS_VAR_APPEND([nexusd_all_flags], [" $nexusd_flag"])])
    AS_VAR_POPDEF([nexusd_cache])
  done
  AS_VAR_COPY([$1], [nexusd_all_flags])
])
