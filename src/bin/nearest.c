/*-------------------------------------------------------------------------
 *
 * nearest.c
 *		What somebody may have meant who mistyped.
 *
 * src/bin/nearest.c
 *
 *-------------------------------------------------------------------------
 */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "bin.h"

/* longer words are not looked at: the table grows with the square */
#define MAX_LENGTH 64

/* so much of a word can stand for the whole of it */
#define MIN_BEGINNING 3

static int	distance(const char *one, const char *other);
static bool is_same(char one, char other);
static int	smallest(int a, int b, int c);

/*
 * The candidate that takes the fewest changes to get to, if these are few
 * enough to call it a typing error; the first of several; NULL if there is
 * none.
 */
const char *
nearest(const char *word, const char *const *candidates, int ncandidates)
{
	const char *found = NULL;
	int			least = (int) strlen(word) / 3 + 2;

	if (*word == '\0')
		return NULL;
	for (int i = 0; i < ncandidates; i++)
	{
		size_t		length = strlen(candidates[i]);
		const char *last = strrchr(candidates[i], '/');
		int			changes = distance(word, candidates[i]);

		/* the beginning of it, or the last part of a feature's name */
		if ((strlen(word) >= MIN_BEGINNING &&
			 strncmp(candidates[i], word, strlen(word)) == 0) ||
			(last != NULL && strcmp(last + 1, word) == 0))
			changes = 1;

		/* what shares no letter with it is not what was meant */
		if (changes < least && changes < (int) length)
		{
			least = changes;
			found = candidates[i];
		}
	}
	return found;
}

/*
 * The command, or the first word of some, that the words may have meant; NULL
 * if there is none.
 */
const char *
nearest_command(const Words *words)
{
	const char *first = words->words[0];
	const char *second = words->count > 1 ? words->words[1] : "";
	bool		in_group = is_group(first);
	const char **whole = allocate((size_t) ncommands * sizeof(char *));
	const char **groups = allocate((size_t) ncommands * sizeof(char *));
	const char **names = allocate((size_t) ncommands * sizeof(char *));
	const char *meant = NULL;
	int			n = 0;

	for (int i = 0; i < ncommands; i++)
	{
		whole[i] = command_name(&commands[i]);
		if (commands[i].group == NULL ||
			(in_group && strcmp(commands[i].group, first) != 0))
			continue;
		groups[n] = commands[i].group;
		names[n++] = commands[i].name;
	}

	/* an operand may have been taken for the second word */
	if (!in_group)
	{
		meant = nearest(print("%s %s", first, second), whole, ncommands);
		if (meant == NULL)
			meant = nearest(first, whole, ncommands);
		if (meant == NULL)
			meant = nearest(first, groups, n);
	}

	/* or the first one is missing */
	for (int i = 0; i < n; i++)
	{
		const char *name = nearest(in_group ? second : first, names, n);

		if (name != NULL && strcmp(names[i], name) == 0 &&
			(meant == NULL || strcmp(name, first) == 0))
			meant = print("%s %s", groups[i], name);
	}
	return meant;
}

/*
 * The number of letters to put in, take out, change or swap with the next one
 * (optimal string alignment), in bytes.  Capitals are no difference.
 */
static int
distance(const char *one, const char *other)
{
	size_t		n = strlen(one);
	size_t		m = strlen(other);
	int			cost[MAX_LENGTH + 1][MAX_LENGTH + 1];

	if (n > MAX_LENGTH || m > MAX_LENGTH)
		return MAX_LENGTH + 1;
	for (size_t i = 0; i <= n; i++)
		cost[i][0] = (int) i;
	for (size_t j = 0; j <= m; j++)
		cost[0][j] = (int) j;
	for (size_t i = 1; i <= n; i++)
		for (size_t j = 1; j <= m; j++)
		{
			bool		same = is_same(one[i - 1], other[j - 1]);

			cost[i][j] = smallest(cost[i - 1][j] + 1, cost[i][j - 1] + 1,
								  cost[i - 1][j - 1] + (same ? 0 : 1));
			if (i > 1 && j > 1 && is_same(one[i - 1], other[j - 2]) &&
				is_same(one[i - 2], other[j - 1]))
				cost[i][j] = smallest(cost[i][j], cost[i - 2][j - 2] + 1,
									  cost[i][j]);
		}
	return cost[n][m];
}

static bool
is_same(char one, char other)
{
	return tolower((unsigned char) one) == tolower((unsigned char) other);
}

static int
smallest(int a, int b, int c)
{
	int			least = a < b ? a : b;

	return least < c ? least : c;
}
