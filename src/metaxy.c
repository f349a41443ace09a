/*-------------------------------------------------------------------------
 *
 * metaxy.c
 *		The module: its magic block, its settings, what it hooks into.
 *
 * src/metaxy.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <limits.h>

#include "fmgr.h"
#include "utils/guc.h"

#include "scan/scan.h"
#include "write/write.h"

MX_MODULE_MAGIC();

void		_PG_init(void);

/* metaxy.filter_language: what a filter may say, checked in read/safe.c */
int			mx_filter_language = MX_FILTER_SAFE;

/*
 * metaxy.max_skew: how far ahead of the wall clock a row may be dated.  One row
 * takes the clock along for everybody, so it is for superusers to set.
 */
int			mx_max_skew = 5 * 60 * 1000;

/* metaxy.log_filter: whether the ledger keeps the text of filters */
bool		mx_log_filter = true;

/* metaxy.stamp: whether rows are stamped; off for backfills and restores */
bool		mx_stamp = true;

/* metaxy.progress: whether long calls tell how far they are */
bool		mx_progress = false;
/* metaxy.enable_latest_scan: whether the planner may use the custom scan */
bool		mx_enable_latest_scan = true;

/* metaxy.clock_shift: error of this session's wall clock, for tests */
int			mx_clock_shift = 0;

static const struct config_enum_entry filter_languages[] = {
	{"safe", MX_FILTER_SAFE, false},
	{"sql", MX_FILTER_SQL, false},
	{NULL, 0, false}
};

void
_PG_init(void)
{
	DefineCustomEnumVariable("metaxy.filter_language",
							 "What filters may say.",
							 "\"safe\" allows the table's columns, literals and functions that only compute; \"sql\" any expression that WHERE takes.",
							 &mx_filter_language,
							 MX_FILTER_SAFE, filter_languages,
							 PGC_USERSET, 0, NULL, NULL, NULL);
	DefineCustomIntVariable("metaxy.max_skew",
							"How far ahead of the server's clock a row may be dated.",
							NULL,
							&mx_max_skew,
							5 * 60 * 1000, 0, INT_MAX,
							PGC_SUSET, GUC_UNIT_MS, NULL, NULL, NULL);
	DefineCustomBoolVariable("metaxy.log_filter",
							 "Keeps the text of filters in the ledger.",
							 "Filters may hold personal data; switched off, the ledger says only that there was one.",
							 &mx_log_filter,
							 true,
							 PGC_USERSET, 0, NULL, NULL, NULL);

	DefineCustomBoolVariable("metaxy.stamp",
							 "Stamps rows that are written to feature tables.",
							 "Switched off, rows keep the stamps that they come with, for backfills and restores.",
							 &mx_stamp,
							 true,
							 PGC_USERSET, 0, NULL, NULL, NULL);
	DefineCustomBoolVariable("metaxy.progress",
							 "Lets long calls tell how far they are.",
							 "They do so in messages of level INFO with SQLSTATE MX001.",
							 &mx_progress,
							 false,
							 PGC_USERSET, 0, NULL, NULL, NULL);
	DefineCustomBoolVariable("metaxy.enable_latest_scan",
							 "Enables the planner's use of latest scans.",
							 "They read the latest row of each sample from an index; switched off, the views are read as the plain SQL that they are.",
							 &mx_enable_latest_scan,
							 true,
							 PGC_USERSET, GUC_EXPLAIN, NULL, NULL, NULL);
	DefineCustomIntVariable("metaxy.clock_shift",
							"Lets this session's wall clock go wrong by so much.",
							"For tests of what wrong clocks do.",
							&mx_clock_shift,
							0, INT_MIN, INT_MAX,
							PGC_SUSET, GUC_UNIT_MS | GUC_NOT_IN_SAMPLE,
							NULL, NULL, NULL);

	mx_writer_init();
	mx_scan_init();
	MarkGUCPrefixReserved("metaxy");
}
