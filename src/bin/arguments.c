/*-------------------------------------------------------------------------
 *
 * arguments.c
 *		What commands ask of their command line, once it has been read.
 *
 * src/bin/arguments.c
 *
 *-------------------------------------------------------------------------
 */
#include <string.h>

#include "bin.h"

bool
option_given(const Arguments *arguments, OptionId id)
{
	return arguments->given[id].count > 0;
}

/*
 * Of a switch: the last one counts, as in "--soft --soft=false".
 */
bool
option_on(const Arguments *arguments, OptionId id)
{
	const Words *values = &arguments->given[id];

	return values->count > 0 &&
		strcmp(values->words[values->count - 1], "true") == 0;
}

/*
 * The value; NULL if there is none.
 */
const char *
option_value(const Arguments *arguments, OptionId id)
{
	return option_given(arguments, id) ? arguments->given[id].words[0] : NULL;
}

const char *
value_or(const Arguments *arguments, OptionId id, const char *otherwise)
{
	return option_given(arguments, id) ? option_value(arguments, id) : otherwise;
}

/*
 * A parameter's value.
 */
const char *
boolean(bool value)
{
	return value ? "true" : "false";
}

/*
 * The features of the command line, operands first.
 */
Words
named_features(const Arguments *arguments)
{
	const Words *lists[] = {
		&arguments->operands, &arguments->given[OPT_FEATURE]
	};
	Words		features = {0};

	for (int list = 0; list < 2; list++)
		for (int i = 0; i < lists[list]->count; i++)
			add_word(&features, lists[list]->words[i]);
	return features;
}

void
exclude(const Arguments *arguments, OptionId one, OptionId other)
{
	if (option_given(arguments, one) && option_given(arguments, other))
		die_usage(arguments->command,
				  "options \"--%s\" and \"--%s\" contradict each other",
				  options[one].name, options[other].name);
}
