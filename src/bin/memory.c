/*-------------------------------------------------------------------------
 *
 * memory.c
 *		Memory that is there or ends the program, and texts in it.
 *
 *		The program runs one command and ends: what it holds on to until then
 *		is not given back.
 *
 * src/bin/memory.c
 *
 *-------------------------------------------------------------------------
 */
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "bin.h"

static void *
there(void *memory)
{
	if (memory == NULL)
		die(STATUS_FAILED, "out of memory");
	return memory;
}

/*
 * Zeroed memory.
 */
void *
allocate(size_t size)
{
	return there(calloc(1, size == 0 ? 1 : size));
}

void *
reallocate(void *old, size_t size)
{
	return there(realloc(old, size == 0 ? 1 : size));
}

char *
duplicate(const char *text)
{
	return there(strdup(text));
}

/*
 * A text as by printf.
 */
char *
print(const char *format,...)
{
	va_list		arguments;
	int			length;
	char	   *text;

	va_start(arguments, format);
	length = vsnprintf(NULL, 0, format, arguments);
	va_end(arguments);
	if (length < 0)
		die(STATUS_FAILED, "could not format a text");
	text = allocate((size_t) length + 1);
	va_start(arguments, format);
	vsnprintf(text, (size_t) length + 1, format, arguments);
	va_end(arguments);
	return text;
}

void
add_word(Words *words, const char *word)
{
	words->words = reallocate(words->words,
							  ((size_t) words->count + 1) * sizeof(char *));
	words->words[words->count++] = word;
}

/*
 * The words as the text of an SQL array: a parameter's value, not a part of a
 * statement.
 */
char *
array_literal(const Words *words)
{
	size_t		size = 3;
	char	   *literal;
	char	   *end;

	for (int i = 0; i < words->count; i++)
		size += 2 * strlen(words->words[i]) + 3;
	end = literal = allocate(size);
	*end++ = '{';
	for (int i = 0; i < words->count; i++)
	{
		if (i > 0)
			*end++ = ',';
		*end++ = '"';
		for (const char *from = words->words[i]; *from != '\0'; from++)
		{
			if (*from == '"' || *from == '\\')
				*end++ = '\\';
			*end++ = *from;
		}
		*end++ = '"';
	}
	*end = '}';
	return literal;
}
