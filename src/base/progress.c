/*-------------------------------------------------------------------------
 *
 * progress.c
 *		How far a call is, told to a client that has asked for it.
 *
 *		The server's own progress views are closed to extensions.  So a session
 *		that sets metaxy.progress is told in messages, which are sent at once;
 *		their SQLSTATE tells them from others.
 *
 * src/base/progress.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "base/base.h"

/*
 * Says what is done from now on.  Of level INFO, which client_min_messages does
 * not hold back, and which does not go to the server's log by default.
 */
void
mx_tell_progress(const char *format,...)
{
	StringInfoData text;

	if (!mx_progress)
		return;
	initStringInfo(&text);
	for (;;)
	{
		va_list		arguments;
		int			needed;

		va_start(arguments, format);
		needed = appendStringInfoVA(&text, format, arguments);
		va_end(arguments);
		if (needed == 0)
			break;
		enlargeStringInfo(&text, needed);
	}
	ereport(INFO,
			(errcode(MX_ERRCODE_PROGRESS), errmsg_internal("%s", text.data)));
	pfree(text.data);
}
